"""What every scorer keeps, with a small policy whose scores are known.

A scorer for one kind of policy alone refuses this one with a ``PoloError`` and is not asked further.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from polo.context import Context
from polo.data import FloatArray, IntArray, Rows
from polo.errors import PoloError
from polo.protocols import Policy, RanksAll, Rescores, Scorer
from polo.testing.stand_ins import StandInPolicy
from polo.testing.subject import Subject
from polo.testing.world import context

_LIST = 9


def scores_as_the_policy(subject: Subject) -> None:
    """Scores of candidate lists are those of the policy, and token counts are its `tokens`; a scorer that gives others
    (`rescores`) counts each as one token.
    """
    for scorer, policy, rows, lists in _called(subject):
        scores, tokens = scorer.score(policy, rows, lists)
        expected = _expected(policy, rows, lists)
        assert scores.shape == tokens.shape == lists.shape, f"scores {scores.shape} of lists {lists.shape}"
        if isinstance(scorer, Rescores) and scorer.rescores:
            assert np.isfinite(scores).all(), "scores are numbers"
            assert (tokens == 1).all(), "no score is a sum over tokens"
            continue
        assert np.allclose(scores, expected, rtol=1e-4, atol=1e-4), "scores are the policy's own"
        assert np.array_equal(tokens, policy.tokens(torch.from_numpy(lists)).numpy()), "tokens are the policy's own"


def rows_stand_alone(subject: Subject) -> None:
    """A row's scores do not depend on other rows, so that an evaluation can be done in parts."""
    some = np.array([7, 2, 5])
    for scorer, policy, rows, lists in _called(subject):
        whole, _ = scorer.score(policy, rows, lists)
        part, _ = scorer.score(policy, rows[some], lists[some])
        assert np.allclose(whole[some], part, rtol=1e-5, atol=1e-5), "a row's scores depend on that row alone"


def leaves_the_policy_as_it_is(subject: Subject) -> None:
    """Weights, and whether the policy is in training, are the same afterwards; no gradient is left behind."""
    for scorer, policy, rows, lists in _called(subject):
        policy.module.train()
        before = {name: value.clone() for name, value in policy.module.state_dict().items()}
        scorer.score(policy, rows, lists)
        assert policy.module.training, "the policy is in training mode again"
        assert all(torch.equal(before[name], value) for name, value in policy.module.state_dict().items()), "weights"
        assert all(p.grad is None for p in policy.module.parameters()), "no gradient is left behind"


def ranks_the_catalogue_alike(subject: Subject) -> None:
    """Where it can rank a whole catalogue, `every` gives what `score` gives for lists that hold every item."""
    for scorer, policy, rows, _ in _called(subject):
        if isinstance(scorer, RanksAll):
            n = len(subject.splits.items)
            everything = np.broadcast_to(np.arange(n), (len(rows), n))
            scores, _ = scorer.every(policy)(rows.with_candidates(everything))
            assert np.allclose(scores, scorer.score(policy, rows, np.array(everything))[0], rtol=1e-4, atol=1e-4), (
                "the scores of the catalogue are those of lists"
            )


def _called(subject: Subject) -> Iterator[tuple[Scorer, Policy, Rows, IntArray]]:
    scorer: Scorer = subject.new()
    ctx: Context = context(splits=subject.splits)
    torch.manual_seed(0)
    rows, rng = subject.splits.test, np.random.default_rng(0)
    n = len(subject.splits.items)
    lists = np.stack([rng.choice(n, _LIST, replace=False) for _ in range(len(rows))]).astype(np.int64)
    policy: Policy = StandInPolicy(None, ctx)
    try:
        scorer.score(policy, rows[:1], lists[:1])
    except PoloError:  # it is for other policies, and says so as it should
        return
    yield scorer, policy, rows, lists


def _expected(policy: Policy, rows: Rows, lists: IntArray) -> FloatArray:
    with torch.no_grad():
        found: FloatArray = policy.score(rows, torch.from_numpy(lists)).double().numpy()
    return found


LAWS = (scores_as_the_policy, rows_stand_alone, leaves_the_policy_as_it_is, ranks_the_catalogue_alike)
