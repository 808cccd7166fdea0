"""Keys and values of prompts and of the nodes behind them, kept between passes. Knows places; knows no search.

A layer's keys of B rows are one tensor ``[B, heads, W + S, size]``: W places for the longest prompt, then S slots for
nodes. Which node stands in which slot is a matter of each row (:class:`Slots`). When all slots are taken, the node that
was used longest ago makes room; whoever needs it again computes it again.
"""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from polo import IntArray


class Slots:
    """Which nodes of one row are kept, and where.

    Example (two slots; 4 was used longest ago):
        >>> slots = Slots()
        >>> slots.place([4, 7], 2), slots.place([7, 9], 2), slots.at(9), slots.missing([4, 7])
        ([4, 7], [9], 0, [4])
    """

    def __init__(self) -> None:
        self._at: dict[int, int] = {}  # those used longest ago stand first

    def __len__(self) -> int:
        return len(self._at)

    def at(self, node: int) -> int:
        """The slot of a node that is kept."""
        return self._at[node]

    def missing(self, nodes: Iterable[int]) -> list[int]:
        """Those that are not kept."""
        return [node for node in nodes if node not in self._at]

    def place(self, nodes: list[int], slots: int) -> list[int]:
        """Makes sure that all ``nodes`` have a slot; returns those that must be computed, in the order given.

        Args:
            nodes: at most as many as there are slots.
            slots: how many there are; never fewer than in the call before.
        """
        new = self.missing(nodes)
        for node in nodes:
            if node in self._at:
                self._at[node] = self._at.pop(node)
        for node in new:
            self._at[node] = len(self._at) if len(self._at) < slots else self._at.pop(next(iter(self._at)))
        return new


class KeyMemory:
    """Keys and values of B rows, by attention layer.

    Args:
        prompts: ``[B]`` tokens of each prompt.
        slots: slots of each row.

    Attributes:
        rows: how many rows are kept; they stand at 0, 1, ...
        width: places for prompts.
        slots: slots of each row.
    """

    def __init__(self, prompts: IntArray, slots: int) -> None:
        self.rows, self.width, self.slots = len(prompts), int(prompts.max()), slots
        self._layers: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def write(
        self, layer: nn.Module, rows: Tensor, places: Tensor, key: Float[Tensor, "hkv t d"], value: Tensor
    ) -> tuple[Float[Tensor, "b hkv s d"], Tensor]:
        """Keeps t keys and values at ``places [t]`` of ``rows [t]``; returns those of all rows, width and slots."""
        if layer not in self._layers:
            shape = (self.rows, key.shape[0], self.width + self.slots, key.shape[2])
            self._layers[layer] = (key.new_zeros(shape), value.new_zeros(shape))
        keys, values = self._layers[layer]
        keys[rows, :, places], values[rows, :, places] = key.transpose(0, 1), value.transpose(0, 1)
        return keys[: self.rows], values[: self.rows]

    def grow(self, slots: int) -> None:
        """More slots for every row."""
        more = slots - self.slots
        self.slots = slots
        for layer, kept in self._layers.items():
            keys, values = (nn.functional.pad(x[: self.rows], (0, 0, 0, more)) for x in kept)
            self._layers[layer] = (keys, values)

    def drop(self, row: int) -> None:
        """Forgets a row; the last one takes its place."""
        self.rows -= 1
        for kept in self._layers.values() if row < self.rows else ():
            for x in kept:
                x[row] = x[self.rows]
