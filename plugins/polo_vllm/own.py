"""The policy beside another engine: its own scores, its GPU memory, and the processes that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from polo import FloatArray, InputError, IntArray, Policy, PoloError, Rows
from polo_vllm.model import TextPolicy, Texts

T = TypeVar("T")
#: candidates that the policy scores at once
_COLUMNS = 64


def text_policy(policy: Policy) -> TextPolicy:
    """The policy, if another engine can take its place.

    Raises:
        InputError: if it cannot.
    """
    if policy.unit != "logprob" or not isinstance(policy, TextPolicy) or not isinstance(policy.texts, Texts):
        raise InputError(
            "vLLM scores text: it needs a policy with `texts`, `base_path`, `save` and `export`, such as causal_lm",
            where="evaluate.scorer",
            fix="use evaluate.scorer=policy",
        )
    return policy


def own_scores(policy: Policy, rows: Rows, candidates: IntArray) -> FloatArray:
    """The policy's own scores, row by row, without gradient."""
    device = next(policy.module.parameters()).device
    training = policy.module.training
    policy.module.eval()
    found = np.empty(candidates.shape)
    try:
        with torch.no_grad():
            for i in range(len(rows)):
                for start in range(0, candidates.shape[1], _COLUMNS):
                    items = torch.from_numpy(candidates[i : i + 1, start : start + _COLUMNS]).to(device)
                    found[i, start : start + _COLUMNS] = policy.score(rows[i : i + 1], items)[0].double().cpu().numpy()
    finally:
        policy.module.train(training)
    return found


@contextmanager
def aside(policy: Policy, wanted: bool) -> Iterator[None]:
    """Takes the policy's weights off its GPU while another process needs the memory."""
    module = getattr(policy.module, "module", policy.module)
    device = next(module.parameters()).device
    if not wanted or device.type != "cuda":
        yield
        return
    module.to("cpu")
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        module.to(device)


def on_one_process(policy: Policy, do: Callable[[], T]) -> T:
    """Runs ``do`` on the first process and gives every process its result, or its PoloError.

    The others wait for as long as their backend lets them (NCCL: ten minutes unless set otherwise).
    """
    state = PartialState()
    if state.num_processes == 1:
        return do()
    outcome: list[Any] = [None, None]
    with aside(policy, not state.is_main_process):
        if state.is_main_process:
            try:
                outcome = [do(), None]
            except PoloError as error:
                outcome = [None, error]
        broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    result: T = outcome[0]
    return result
