"""What models of the shown history share: rows as positions of sequences, one forward for all that begin alike."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo import Context, IntArray, Rows, Splits, sent
from polo_backbones.options import SequenceOptions
from polo_backbones.sequences import Windows, left_aligned, pack
from polo_backbones.vectors import VectorNet, VectorPolicy, splits_of, table


class SequenceNet(VectorNet):
    """Reads sequences of items; the vector of a row is the state after the last item of its history.

    Items of the history and candidates have one table. A row without a history has a vector of its own.

    Args:
        options: width of vectors, how two make a score, dropout.
        items: how many items there are.
        generator: what weights are drawn from.
    """

    def __init__(self, options: SequenceOptions, items: int, generator: torch.Generator) -> None:
        super().__init__(options)
        self.item = table(items, options, generator)
        self.nothing = torch.nn.Parameter(torch.randn(options.dim, generator=generator) * options.init)

    @property
    def catalogue(self) -> int:
        return self.item.num_embeddings

    def states(self, items: Int[Tensor, "s l"]) -> Float[Tensor, "s l d"]:
        """The state after each item; that at a place depends on this place and those before it. PAD is only at ends."""
        raise NotImplementedError

    def of_rows(self, batch: dict[str, Tensor]) -> Tensor:
        position = batch["position"]
        found = self.states(batch["items"])[batch["sequence"], position.clamp_min(0)]
        return torch.where((position < 0)[:, None], self.nothing, found)

    def of_items(self, items: Tensor | None) -> Tensor:
        vectors: Tensor = self.item.weight if items is None else self.item(items)
        return vectors


class SequencePolicy(VectorPolicy):
    """A policy that reads of a row the shown history alone, so that it can serve users whom it never saw."""

    needs = frozenset({"history"})
    options: SequenceOptions

    def __init__(self, name: str, options: SequenceOptions, context: Context) -> None:
        window = splits_of(name, context).train.window
        super().__init__(name, options, context)
        self._windows = Windows.of(self.splits.train, min(options.stride or max(1, window // 2), window))

    def fed(self, rows: Rows) -> dict[str, IntArray]:
        return {"history": left_aligned(rows.history, self._windows.leave(rows))}

    def batch(self, fed: dict[str, IntArray]) -> dict[str, Tensor]:
        packed = pack(fed["history"])
        arrays = {"items": packed.items, "sequence": packed.sequence, "position": packed.position}
        return {name: sent(value, self.device) for name, value in arrays.items()}

    def shared(self, rows: Rows) -> IntArray:
        """Rows with the same number are positions of one sequence; see :class:`polo.SharesForwards`."""
        return self._windows.shared(rows)

    def cost(self, rows: Rows, n: int) -> IntArray:
        """Positions and items of a row, had it a forward of its own; the same for all, so that neighbours stay so."""
        cost: IntArray = super().cost(rows, n) + rows.window
        return cost

    @staticmethod
    def window(splits: Splits) -> int:
        """The longest history that any row shows."""
        return max(rows.window for rows in (splits.train, splits.valid, splits.test))
