"""What every optimiser keeps, on two small groups of parameters."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn, optim

from polo.protocols import Optimiser
from polo.testing.subject import Subject


def moves_downhill(subject: Subject) -> None:
    """Twenty steps on a bowl lead to a lower place, with finite weights."""
    parameters, optimizer = _made(subject)
    began = float(_bowl(parameters).detach())
    for _ in range(20):
        _step(parameters, optimizer)
    ended = float(_bowl(parameters).detach())
    assert all(p.isfinite().all() for p in parameters), "weights stay finite"
    assert ended < began, f"twenty steps on a bowl lead from {began:.4g} to {ended:.4g}"


def keeps_groups(subject: Subject) -> None:
    """The torch optimiser has the groups that it was given, in order, with their parameters and `weight_decay`."""
    parameters, optimizer = _made(subject)
    assert isinstance(optimizer, optim.Optimizer), f"a torch optimiser, not {type(optimizer).__name__}"
    found = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
    assert found == [[id(parameters[0])], [id(parameters[1])]], "its groups are those that it was given, in order"
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0], "weight_decay is the group's"
    assert [group["factor"] for group in optimizer.param_groups] == [1.0, 3.0], "what else a group holds stays in it"


def obeys_the_rate(subject: Subject) -> None:
    """A group whose `lr` is set to 0 does not move; the engine sets it before each step."""
    parameters, optimizer = _made(subject)
    optimizer.param_groups[0]["lr"] = 0.0
    before = [p.detach().clone() for p in parameters]
    _step(parameters, optimizer)
    assert torch.equal(before[0], parameters[0]), "nothing moves at a rate of 0"
    assert not torch.equal(before[1], parameters[1]), "the other group moves all the same"


def remembers_tensors_alone(subject: Subject) -> None:
    """What it remembers of a parameter are tensors, so that a checkpoint can hold it."""
    parameters, optimizer = _made(subject)
    _step(parameters, optimizer)
    for parameter in parameters:
        for name, value in optimizer.state[parameter].items():
            assert isinstance(value, Tensor), f"state {name!r} is a {type(value).__name__}, no tensor"


def goes_on_from_its_state(subject: Subject) -> None:
    """Another one that loads its state makes the same steps."""
    parameters, optimizer = _made(subject)
    for _ in range(3):
        _step(parameters, optimizer)
    others, other = _made(subject)
    with torch.no_grad():
        for mine, theirs in zip(others, parameters, strict=True):
            mine.copy_(theirs)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        _step(parameters, optimizer)
        _step(others, other)
    assert all(map(torch.equal, parameters, others)), "what loads a state makes the same steps"


def _made(subject: Subject) -> tuple[list[nn.Parameter], optim.Optimizer]:
    optimiser: Optimiser = subject.new()
    parameters = [nn.Parameter(torch.linspace(-1, 2, 6).reshape(2, 3)), nn.Parameter(torch.linspace(3, 1, 4))]
    groups: list[dict[str, Any]] = [
        {"params": [parameters[0]], "lr": 0.02, "factor": 1.0, "weight_decay": 0.1},
        {"params": [parameters[1]], "lr": 0.06, "factor": 3.0, "weight_decay": 0.0},
    ]
    return parameters, optimiser(groups)


def _bowl(parameters: list[nn.Parameter]) -> Tensor:
    return torch.stack([(p**2).sum() for p in parameters]).sum()


def _step(parameters: list[nn.Parameter], optimizer: optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(_bowl(parameters))
    optimizer.step()


LAWS = (keeps_groups, moves_downhill, obeys_the_rate, remembers_tensors_alone, goes_on_from_its_state)
