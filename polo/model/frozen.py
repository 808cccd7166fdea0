"""Frozen copies of a policy's trained weights, for a reference: on disk, and in memory only while somebody scores.

Adapters are small, but where all weights are trained a second copy doubles what a run holds. It is needed for scores
that no cache has, and often there are none.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polo.errors import PoloError
from polo.model.sharding import is_sharded
from polo.model.weights import Weights, snapshot, trainable


class Frozen(Mapping[str, Tensor]):
    """Weights in a file of their own, mapped into memory: what nobody reads takes none, what was read can be freed.

    The file has no name any more once it is mapped, so that it goes with the process, however that ends.

    Args:
        weights: by name; their values as of now are kept.
        folder: where the file is made; any disk with room.

    Raises:
        PoloError: the file cannot be written.
    """

    def __init__(self, weights: Weights, folder: Path) -> None:
        self._device = {name: value.device for name, value in weights.items()}
        self._moved: dict[str, Tensor] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix="frozen-", dir=folder)
            os.close(number)
            try:
                save_file({one: value.detach().cpu().contiguous() for one, value in weights.items()}, name)
                self._mapped = load_file(name)
            finally:
                with contextlib.suppress(OSError):  # a system that keeps open files by their names
                    Path(name).unlink()
        except OSError as error:
            raise PoloError(
                f"the reference's weights cannot be written: {error.strerror or error}",
                where=str(folder),
                fix="make room, or set POLO_CACHE to another disk",
            ) from error

    def __getitem__(self, name: str) -> Tensor:
        """The weight on the device that it came from."""
        if self._device[name].type == "cpu":
            return self._mapped[name]
        if name not in self._moved:
            self._moved[name] = self._mapped[name].to(self._device[name])
        return self._moved[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapped)

    def __len__(self) -> int:
        return len(self._mapped)

    def release(self) -> None:
        """Gives a GPU's memory back; the next use fills it again. In main memory the system does that by itself."""
        self._moved.clear()


def frozen(module: nn.Module, folder: Path) -> Weights:
    """A copy of the trained weights of ``module`` as they are now; of a sharded one each process keeps its part."""
    return snapshot(module) if is_sharded(module) else Frozen(trainable(module), folder)


def release(weights: Weights) -> None:
    """Nobody needs ``weights`` for a while."""
    if isinstance(weights, Frozen):
        weights.release()
