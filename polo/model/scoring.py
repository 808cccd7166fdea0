"""Scores of whole candidate lists, without gradient: what validation and evaluation run on.

The default scorer is the policy itself. Rows are shared out over processes and put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from polo.context import Context
from polo.data import FloatArray, IntArray, Rows
from polo.protocols import Embeds, Every, Numbers, Policy, Writes

#: rows between two movements of the progress bar
CHUNK = 128
#: scores between two movements: rows with very long lists move it one by one
ENTRIES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PolicyScorerOptions:
    """Options of the scorer ``policy``."""

    #: flat tokens of one forward pass
    tokens_per_pass: Annotated[int, Ge(1)] = 16384


class PolicyScorer:
    """Scores with the policy as it is trained: shared prefix, no gradient, eval mode."""

    #: every process calls the policy, equally often, so that weights may be sharded
    together = True
    #: rows after which an evaluation that is killed can go on
    part_rows = 4 * CHUNK

    def __init__(self, options: PolicyScorerOptions, context: Context) -> None:
        self._budget, self._track = options.tokens_per_pass, context.track

    def score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        return score_lists(policy, rows, candidates, self._budget, self._track)

    def every(self, policy: Policy) -> Every:
        return score_every(policy, self._budget)


def _untracked(iterable: Iterable[Any], total: int | None = None, label: str = "") -> Iterable[Any]:
    return iterable


def score_lists(
    policy: Policy, rows: Rows, candidates: IntArray, budget: int, track: Callable[..., Iterable[Any]] = _untracked
) -> tuple[FloatArray, IntArray]:
    """Scores ``[N, n]`` of ``candidates`` and how many tokens each ran over, on every process.

    Args:
        policy: is put into eval mode and back.
        rows: N rows.
        candidates: int64 ``[N, n]``.
        budget: flat tokens of one forward.
        track: progress, as ``Context.track``.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather_object

    from polo.model.passes import rank_in_passes

    state = PartialState()
    mine = np.arange(state.process_index, len(rows), state.num_processes)
    device = next(policy.module.parameters()).device
    scores = np.empty((len(mine), candidates.shape[1]))
    tokens = np.empty(scores.shape, dtype=np.int64)
    training = policy.module.training
    policy.module.eval()
    with torch.no_grad():
        # all processes go over the same blocks, also those that have fewer rows or none in the last one
        block = max(1, min(CHUNK, ENTRIES // max(candidates.shape[1], 1))) * state.num_processes
        for start in track(range(0, len(rows), block), label="scoring"):
            items = torch.from_numpy(np.ascontiguousarray(candidates[start : start + block])).to(device)
            own = np.arange(state.process_index, len(items), state.num_processes)
            found = rank_in_passes(policy, rows[start : start + block], items, budget, own)
            place = slice(start // state.num_processes, start // state.num_processes + len(own))
            scores[place] = found.double().cpu().numpy()
            tokens[place] = policy.tokens(items[torch.from_numpy(own).to(device)]).cpu().numpy()
    policy.module.train(training)
    if state.num_processes == 1:
        return scores, tokens
    gathered = gather_object([(mine, scores, tokens)])
    order = np.argsort(np.concatenate([one[0] for one in gathered]))
    return np.concatenate([one[1] for one in gathered])[order], np.concatenate([one[2] for one in gathered])[order]


def score_every(policy: Policy, budget: int) -> Every:
    """What scores rows against every item, a block after the other; the weights must not change in between.

    A policy that :class:`~polo.protocols.Embeds` gives its items' vectors once; another one scores lists of all items.
    Several processes share the rows of a block out and call the policy equally often, so that weights may be sharded.

    Args:
        policy: is put into eval mode and back.
        budget: flat tokens of one forward.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather_object

    if not isinstance(policy, Embeds):

        def lists(rows: Rows) -> tuple[FloatArray, IntArray]:
            if rows.candidates is None:
                raise ValueError("rows of a block hold a list of all items")
            return score_lists(policy, rows, rows.candidates, budget)

        return lists

    embedder: Embeds = policy
    module = policy.module

    def without_gradient(vectors: Callable[[], Any]) -> Any:
        training = module.training
        module.eval()
        try:
            with torch.no_grad():
                return vectors()
        finally:
            module.train(training)

    items, state = without_gradient(embedder.item_vectors), PartialState()

    def products(rows: Rows) -> tuple[Numbers, None]:
        mine = np.arange(state.process_index, len(rows), state.num_processes)
        asked = rows.with_candidates(None)  # the list of a whole catalogue is no part of what is asked
        if state.num_processes > 1:
            asked = asked[mine] if len(mine) else asked[:1]  # a process without a row takes part in the forward
        scores = without_gradient(lambda: embedder.user_vectors(asked) @ items.T)
        found: Numbers = scores.cpu().numpy()[: len(mine)]
        if state.num_processes > 1:
            gathered = gather_object([(mine, found)])
            order = np.argsort(np.concatenate([at for at, _ in gathered]))
            found = np.concatenate([part for _, part in gathered])[order]
        return found, None

    return products


def completions(policy: Policy, rows: Rows, track: Callable[..., Iterable[Any]] = _untracked) -> list[str]:
    """Greedy completions of N rows by ``policy.generate(rows)``, a chunk at a time, the same on every process."""
    import torch

    from polo.model.sharding import is_sharded, reachable

    if is_sharded(policy.module):  # a sharded module is called as a whole before the modules inside it are
        with torch.no_grad():
            items = torch.from_numpy(rows.target[:1, None])
            policy.score(rows[:1], items.to(next(policy.module.parameters()).device))
    assert isinstance(policy, Writes)
    texts: list[str] = []
    with reachable(policy.module):
        for start in track(range(0, len(rows), CHUNK), label="generating"):
            texts += policy.generate(rows[start : start + CHUNK])
    return texts
