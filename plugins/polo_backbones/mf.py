"""The policy ``mf``: a vector for each user and each item. Knows which users it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo import PAD, BoolArray, Context, IntArray, Rows, Splits, sent
from polo_backbones.options import MFOptions, UserOptions
from polo_backbones.vectors import VectorNet, VectorPolicy, table


class MFNet(VectorNet):
    """Two tables. A user without a training row has the mean of those with one.

    Args:
        options: width of vectors, and how two make a score.
        known: ``[users]`` which users have a training row.
        items: how many items there are.
        generator: what the tables are drawn from.
    """

    def __init__(self, options: UserOptions, known: BoolArray, items: int, generator: torch.Generator) -> None:
        super().__init__(options)
        self._l2 = options.l2
        self.user = table(len(known), options, generator)
        self.item = table(items, options, generator)
        self.known: Tensor
        self.register_buffer("known", torch.from_numpy(known), persistent=False)

    @property
    def catalogue(self) -> int:
        return self.item.num_embeddings

    def of_rows(self, batch: dict[str, Tensor]) -> Tensor:
        return self._by_user(self.user.weight, batch)

    def of_items(self, items: Tensor | None) -> Tensor:
        vectors: Tensor = self.item.weight if items is None else self.item(items)
        return vectors

    @property
    def has_terms(self) -> bool:
        """Whether :meth:`terms` holds any."""
        return self._l2 > 0

    def terms(self, batch: dict[str, Tensor], items: Int[Tensor, "b n"]) -> dict[str, Float[Tensor, ""]]:
        """Weighted terms of the loss by name; see :meth:`UserPolicy.extra_loss`."""
        return {"l2": self._l2 * self.squares(batch, items)} if self._l2 else {}

    def squares(self, batch: dict[str, Tensor], items: Int[Tensor, "b n"]) -> Float[Tensor, ""]:
        """``1/(2B) sum_rows ( |p_u|^2 + sum_i |q_i|^2 )`` over the row's user and items; PAD counts for nothing."""
        user, item = self.user(batch["user"][:, 0].clamp_min(0)), self.item(items.clamp_min(0))
        squares: Tensor = user.square().sum() + (item.square().sum(dim=-1) * (items != PAD)).sum()
        return squares / (2 * len(items))

    def _by_user(self, vectors: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The users' vectors out of all ``[users, d]``; -1 is a user without a training row."""
        user = batch["user"][:, 0]
        own = nn.functional.embedding(user.clamp_min(0), vectors)
        if "strange" not in batch:
            return own
        share = self.known.to(vectors.dtype) / self.known.sum().clamp_min(1)
        return torch.where(batch["strange"][:, None], share @ vectors, own)


class UserPolicy(VectorPolicy):
    """A policy that reads of a row the user's number alone; one without a training row is read as -1."""

    options: UserOptions
    net: MFNet
    known: BoolArray

    def prepare(self, splits: Splits) -> BoolArray:
        """``[users]`` which users have a training row."""
        self.known = np.zeros(splits.n_users, dtype=np.bool_)
        self.known[splits.train.users()] = True
        return self.known

    def fed(self, rows: Rows) -> dict[str, IntArray]:
        there = (rows.user >= 0) & (rows.user < len(self.known))
        there[there] = self.known[rows.user[there]]
        return {"user": np.where(there, rows.user, -1)[:, None]}

    def batch(self, fed: dict[str, IntArray]) -> dict[str, Tensor]:
        """Also which users have no training row, where there are some: asked here, the device is not waited for."""
        batch, strange = super().batch(fed), fed["user"][:, 0] < 0
        return {**batch, "strange": sent(strange, self.device)} if strange.any() else batch

    def once(self, user: IntArray, target: IntArray) -> dict[str, IntArray]:
        """What else the terms of the loss read of a batch."""
        return {}

    def extra_loss(self, rows: Rows, items: Int[Tensor, "b n"]) -> Mapping[str, Float[Tensor, ""]]:
        """``l2``: the option's weight times the halved squares of the vectors that the batch looked up, over its rows.

        Of the tables themselves, before any propagation or scaling, a vector as often as it was looked up: the term of
        BPR's and LightGCN's code (LightGCN, arXiv 2002.02126, eq. 15, over the batch instead of all vectors).
        """
        if not self.net.has_terms:
            return {}
        fed, seen = self.fed(rows), sent(items, self.device)
        once = self.once(fed["user"][:, 0], rows.target)
        batch = {**self.batch(fed), **{name: sent(value, self.device) for name, value in once.items()}}
        terms: dict[str, Tensor] = self.module(lambda net: net.terms(batch, seen))
        return terms

    def tell(self, context: Context) -> None:
        """Says whom the policy cannot know."""
        rows = self.splits.test
        strange = int((self.fed(rows)["user"] < 0).sum())
        if strange:
            context.say(
                f"{self.name}: {strange:,} of {len(rows):,} test rows are of users without a training row; "
                "they are scored by the mean of the users with one"
            )


class MF(UserPolicy):
    """Matrix factorisation: ``score(u, i) = <p_u, q_i>``, Koren, Bell & Volinsky, Computer 42(8), 2009, eq. 1.

    Reads the user, not the history. Someone who is in no training row (also who asks ``polo recommend``) is scored by
    the mean of the trained users' vectors, that is, everybody alike.

    Example:
        >>> import torch
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> policy = MF(MFOptions(dim=4), context(splits=splits))
        >>> tuple(policy.score(splits.test, torch.tensor([[0, 1]] * 3)).shape)
        (3, 2)
    """

    options: MFOptions

    def __init__(self, options: MFOptions, context: Context) -> None:
        super().__init__("mf", options, context)
        self.tell(context)

    def network(self, splits: Splits, generator: torch.Generator) -> VectorNet:
        return MFNet(self.options, self.prepare(splits), len(splits.items), generator)
