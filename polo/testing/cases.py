"""Scores, masks and betas that losses and betas must cope with. Knows tensors only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polo.scores import Scores


@dataclass(frozen=True)
class Case:
    """What a loss is called with."""

    scores: Scores
    keep: Bool[Tensor, "b k"]
    beta: Float[Tensor, "b k"]

    def rows(self, index: Int[Tensor, " n"]) -> Case:
        """The same case for some of its rows."""
        return Case(self.scores.map(lambda t: t[index]), self.keep[index], self.beta[index])

    def with_policy(self, policy: Float[Tensor, "b n"]) -> Case:
        """The same case with other policy scores."""
        return replace(self, scores=replace(self.scores, policy=policy))


def case(b: int, k: int, *, seed: int = 0, masked: bool = True, dtype: torch.dtype = torch.float64) -> Case:
    """B rows with K negatives: log-probabilities of titles of 1 to 6 tokens, a reference nearby, log_q, mismatched.

    Their log-total is that of their own columns. With ``masked``, some columns are not valid, some valid ones not kept,
    and the last row keeps none.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tokens = torch.randint(1, 7, (b, 1 + k), generator=generator)
    ref = -(normal(b, 1 + k).abs() + 0.3) * tokens
    policy = torch.minimum(ref + normal(b, 1 + k), torch.tensor(-0.05))
    valid, keep = torch.ones(b, 1 + k, dtype=torch.bool), torch.ones(b, k, dtype=torch.bool)
    if masked:
        valid[:, 1:] = torch.rand(b, k, generator=generator) < 0.8
        keep = valid[:, 1:] & (torch.rand(b, k, generator=generator) < 0.7)
        keep[-1] = False
    return Case(
        Scores.of(
            policy.to(dtype),
            items=torch.arange(b * (1 + k)).reshape(b, 1 + k),
            ref=ref.to(dtype),
            tokens=tokens,
            valid=valid,
            rows=torch.arange(b) + 100,
            log_q=torch.full((b, k), -3.0),
            mismatched=normal(b).to(dtype),
            log_total=policy.logsumexp(dim=-1).to(dtype),
        ),
        keep,
        0.1 + torch.rand(b, k, generator=generator, dtype=torch.float64).to(dtype),
    )


def cases() -> list[Case]:
    """A few shapes, with and without masks, in float64."""
    return [
        case(b, k, seed=i, masked=m) for i, (b, k) in enumerate([(1, 1), (4, 1), (3, 2), (5, 7)]) for m in (False, True)
    ]


def permuted(original: Case, order: Int[Tensor, " k"]) -> Case:
    """The case with its negatives in another order."""
    whole = torch.cat([torch.zeros(1, dtype=torch.long), order + 1])
    s = original.scores
    scores = replace(
        s,
        items=s.items[:, whole],
        policy=s.policy[:, whole],
        ref=None if s.ref is None else s.ref[:, whole],
        tokens=s.tokens[:, whole],
        valid=s.valid[:, whole],
        log_q=None if s.log_q is None else s.log_q[:, order],
    )
    return Case(scores, original.keep[:, order], original.beta[:, order])
