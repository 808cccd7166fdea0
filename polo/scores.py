"""Draw and Scores: the one bundle of tensors that samplers, betas and losses see.

Column 0 is always the chosen item (the target); columns 1 to K are the drawn negatives. Knows shapes, not meanings:
where scores come from is the policy's business, what is done with them the loss's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polo.data import Rows
from polo.sending import sent

Unit = Literal["logprob", "similarity"]

#: the fields of Scores that hold a row per batch row
_TENSORS = ("items", "policy", "ref", "tokens", "valid", "users", "rows", "log_q", "mismatched", "log_total")


@dataclass(frozen=True)
class Draw:
    """Negatives drawn for a batch.

    Args:
        items: int64 ``[B, K]`` item numbers.
        valid: bool ``[B, K]``; False where a row had fewer than K to draw (its item is then any number).
        log_q: float ``[B, K]``, log-probability of each draw, for samplers that correct for it; or ``None``.
    """

    items: Int[Tensor, "b k"]
    valid: Bool[Tensor, "b k"]
    log_q: Float[Tensor, "b k"] | None = None

    def __getitem__(self, index: Int[Tensor, " n"]) -> Draw:
        """The draws of some rows."""
        return Draw(self.items[index], self.valid[index], None if self.log_q is None else self.log_q[index])

    def beside(self, rows: Rows) -> tuple[Int[Tensor, "b n"], Bool[Tensor, "b n"]]:
        """Items ``[B, 1+K]`` with each row's target in column 0, and which of them are real."""
        target = sent(rows.target[:, None], self.items.device)
        return torch.cat([target, self.items], dim=1), torch.cat([torch.ones_like(target).bool(), self.valid], dim=1)

    @classmethod
    def none(cls, batch: int) -> Draw:
        """No negatives at all (K = 0): what a stage without a sampler uses."""
        return cls(torch.empty(batch, 0, dtype=torch.long), torch.empty(batch, 0, dtype=torch.bool))


@dataclass(frozen=True)
class Scores:
    """Scores of 1 + K items for each of B rows; column 0 is the chosen item.

    Args:
        items: int64 ``[B, 1+K]``.
        policy: ``[B, 1+K]``, with gradient while training. Sums of log-probabilities over the title's tokens and
            the end token in nats (``unit="logprob"``), or similarities divided by tau (``unit="similarity"``).
        ref: the reference's scores, no gradient, or ``None``.
        tokens: int64 ``[B, 1+K]``, how many tokens each sum ran over (1 for similarities).
        valid: bool ``[B, 1+K]``; column 0 is always True.
        users, rows: int64 ``[B]``, user numbers and row ids.
        log_q: ``[B, K]`` or ``None``, see :class:`Draw`.
        mismatched: ``[B]`` policy minus reference score of another row's item for this row's prompt, detached (KTO).
        log_total: ``[B]`` log of the sum of exp(policy score) over the whole catalogue, with gradient while training;
            or ``None`` where no component needs ``catalogue``.

    Example:
        >>> import torch
        >>> policy = torch.tensor([[-1.0, -2.0, -3.0]])
        >>> s = Scores.of(policy, ref=torch.zeros(1, 3))
        >>> s.chosen.tolist(), s.rejected.tolist(), s.log_ratio.tolist()
        ([-1.0], [[-2.0, -3.0]], [[-1.0, -2.0, -3.0]])
    """

    items: Int[Tensor, "b n"]
    policy: Float[Tensor, "b n"]
    ref: Float[Tensor, "b n"] | None
    tokens: Int[Tensor, "b n"]
    valid: Bool[Tensor, "b n"]
    users: Int[Tensor, " b"]
    rows: Int[Tensor, " b"]
    log_q: Float[Tensor, "b k"] | None = None
    mismatched: Float[Tensor, " b"] | None = None
    log_total: Float[Tensor, " b"] | None = None
    unit: Unit = "logprob"

    @classmethod
    def of(
        cls,
        policy: Float[Tensor, "b n"],
        *,
        items: Int[Tensor, "b n"] | None = None,
        ref: Float[Tensor, "b n"] | None = None,
        tokens: Int[Tensor, "b n"] | None = None,
        valid: Bool[Tensor, "b n"] | None = None,
        users: Int[Tensor, " b"] | None = None,
        rows: Int[Tensor, " b"] | None = None,
        log_q: Float[Tensor, "b k"] | None = None,
        mismatched: Float[Tensor, " b"] | None = None,
        log_total: Float[Tensor, " b"] | None = None,
        unit: Unit = "logprob",
    ) -> Scores:
        """Scores with everything that is not given filled in: items 0 to K, one token each, all valid, a user a row."""
        b, n = policy.shape
        number = torch.arange(b, device=policy.device)
        ones = torch.ones(b, n, dtype=torch.long, device=policy.device)
        return cls(
            items=torch.arange(n, device=policy.device).expand(b, n) if items is None else items,
            policy=policy,
            ref=ref,
            tokens=ones if tokens is None else tokens,
            valid=ones.bool() if valid is None else valid,
            users=number if users is None else users,
            rows=number if rows is None else rows,
            log_q=log_q,
            mismatched=mismatched,
            log_total=log_total,
            unit=unit,
        )

    @classmethod
    def of_draw(
        cls,
        rows: Rows,
        draw: Draw,
        policy: Float[Tensor, "b n"],
        *,
        ref: Float[Tensor, "b n"] | None = None,
        tokens: Int[Tensor, "b n"] | None = None,
        mismatched: Float[Tensor, " b"] | None = None,
        log_total: Float[Tensor, " b"] | None = None,
        unit: Unit = "logprob",
    ) -> Scores:
        """Scores of the targets of ``rows`` and of the negatives drawn for them, on the device of ``policy``."""
        items, valid = (sent(tensor, policy.device) for tensor in draw.beside(rows))
        return cls.of(
            policy,
            items=items,
            ref=ref,
            tokens=tokens,
            valid=valid,
            users=sent(rows.user, policy.device),
            rows=sent(rows.id, policy.device),
            log_q=None if draw.log_q is None else sent(draw.log_q, policy.device),
            mismatched=mismatched,
            log_total=log_total,
            unit=unit,
        )

    @property
    def chosen(self) -> Float[Tensor, " b"]:
        """Policy score of the chosen item."""
        return self.policy[:, 0]

    @property
    def rejected(self) -> Float[Tensor, "b k"]:
        """Policy scores of the negatives."""
        return self.policy[:, 1:]

    @property
    def wide(self) -> Float[Tensor, "b n"]:
        """The policy's scores in at least float32 (float64 stays): nothing is computed in half precision."""
        return _wide(self.policy)

    @property
    def log_ratio(self) -> Float[Tensor, "b n"]:
        """``policy - ref`` in at least float32; :attr:`wide` where there is no reference."""
        return self.wide if self.ref is None else self.wide - _wide(self.ref)

    @property
    def valid_rejected(self) -> Bool[Tensor, "b k"]:
        """Which negatives are real."""
        return self.valid[:, 1:]

    def map(self, change: Callable[[Tensor], Tensor]) -> Scores:
        """Every tensor changed alike (moved, or cut to some rows)."""
        changed: dict[str, Any] = {name: None if (v := getattr(self, name)) is None else change(v) for name in _TENSORS}
        return replace(self, **changed)

    @staticmethod
    def cat(bundles: Sequence[Scores]) -> Scores:
        """The rows of several bundles in one."""
        columns: dict[str, Any] = {
            name: None if getattr(bundles[0], name) is None else torch.cat([getattr(one, name) for one in bundles])
            for name in _TENSORS
        }
        return replace(bundles[0], **columns)

    def detach(self) -> Scores:
        """The same scores without gradient: what samplers and betas are given."""
        total = None if self.log_total is None else self.log_total.detach()
        return replace(self, policy=self.policy.detach(), log_total=total)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
