"""What components with running state keep: a checkpoint holds all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from polo.protocols import AfterStep, BeforeStep, Stateful
from polo.testing.subject import Subject

#: optimiser steps after which the state is saved
_STEPS = 3


def check_state(subject: Subject, use: Callable[[Any], Tensor]) -> None:
    """State is a flat dict of tensors, numbers and texts, and a new component that loads it goes on alike.

    Args:
        subject: what is tested.
        use: calls the component, and gives what came out.
    """
    made = subject.new()
    if not isinstance(made, Stateful):
        return
    for step in range(_STEPS):
        if isinstance(made, BeforeStep):
            made.before_step(step)
        use(made)
        if isinstance(made, AfterStep):
            made.after_step(step)
    state = made.state_dict()
    wrong = {key: value for key, value in state.items() if not isinstance(value, Tensor | int | float | str)}
    assert not wrong, f"checkpoints hold tensors, numbers and texts, not {wrong}"
    other = subject.new()
    assert isinstance(other, Stateful)
    other.load_state_dict({key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()})
    assert set(other.state_dict()) == set(state), f"of {sorted(state)}, {sorted(other.state_dict())} was loaded"
    for step in range(_STEPS, 2 * _STEPS):
        for one in (made, other):
            if isinstance(one, BeforeStep):
                one.before_step(step)
        assert torch.equal(use(made), use(other)), "what loads a state goes on as what saved it"
        for one in (made, other):
            if isinstance(one, AfterStep):
                one.after_step(step)
