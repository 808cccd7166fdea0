"""The policy's own predictions of an earlier epoch as negatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, Peek, RowRandom, Rows, SamplerWrapper, Scores
from polo_preference.noise import gumbel
from polo_preference.options.samplers import SelfPlayOptions
from polo_preference.samplers.hard import top

#: rows looked at together in a refresh
_CHUNK = 1024


class SelfPlay(SamplerWrapper):
    """k negatives that the policy itself preferred at the last refresh; SPRec, Gao et al., arXiv 2412.09243.

    A refresh (before every ``every``-th epoch) lets the policy as it then is choose among what ``from`` draws for each
    training row: the k best scored, or k drawn from its softmax at ``temperature``. Never the target, because ``from``
    never draws it. A row that was not looked at gets what ``from`` draws for it.
    """

    def __init__(self, options: SelfPlayOptions, context: Context) -> None:
        self._options, self._seed, self._device = options, context.seed, context.device
        super().__init__(context.build(options.from_))
        self.k = options.k
        self.gives = frozenset()  # how likely a prediction was is not how likely it was drawn
        self._rows = torch.empty(0, dtype=torch.int64)
        self._items = torch.empty(0, options.k, dtype=torch.int64)
        self._valid = torch.empty(0, options.k, dtype=torch.bool)

    def refresh(self, epoch: int, rows: Rows, peek: Peek) -> None:
        """Looks at all training rows with the present policy; does nothing in epochs between refreshes."""
        super().refresh(epoch, rows, peek)
        if epoch % self._options.every:
            return
        order = np.argsort(rows.id)
        chunks = [order[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)]
        drawn = [self._predict(rows[chunk], RowRandom(self._seed, "self_play", epoch), peek) for chunk in chunks]
        self._rows = torch.from_numpy(rows.id[order])
        self._items = torch.cat([self._items[:0], *(d.items for d in drawn)])
        self._valid = torch.cat([self._valid[:0], *(d.valid for d in drawn)])

    def _predict(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        pool = self.inner.draw(rows, rng, peek)
        scores = peek(rows, pool.items.to(self._device)).detach().double().cpu()
        if self._options.temperature > 0:
            noise = gumbel(rng.child("predict"), torch.from_numpy(rows.id), scores.shape[1])
            scores = scores / self._options.temperature + noise
        among = top(scores, pool.valid, self.k)
        return self._first(Draw(pool.items, among))

    def _first(self, draw: Draw) -> Draw:
        """The k first valid columns (padded where there are fewer than k columns)."""
        order = (~draw.valid).to(torch.int8).argsort(dim=-1, stable=True)[:, : self.k]
        pad = (0, self.k - order.shape[1])
        return Draw(
            torch.nn.functional.pad(draw.items.gather(1, order), pad),
            torch.nn.functional.pad(draw.valid.gather(1, order), pad),
        )

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        fallback = self._first(self.inner.draw(rows, rng, peek))
        if not len(self._rows):
            return fallback
        ids = torch.from_numpy(rows.id)
        at = torch.searchsorted(self._rows, ids).clamp(max=len(self._rows) - 1)
        seen = (self._rows[at] == ids)[:, None]
        return Draw(
            torch.where(seen, self._items[at], fallback.items), torch.where(seen, self._valid[at], fallback.valid)
        )

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected

    def state_dict(self) -> dict[str, Any]:
        own = {"rows": self._rows, "items": self._items, "valid": self._valid}
        return {**own, **{f"inner.{key}": value for key, value in super().state_dict().items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rows, self._items, self._valid = state["rows"], state["items"], state["valid"].bool()
        prefix = "inner."
        super().load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
