"""Where vectors of items come from, before anything is trained, and what must hold of them while they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from polo.data import ItemTable, Splits

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from polo.context import Choice

#: real numbers of any width
Vectors = npt.NDArray[np.floating[Any]]


@runtime_checkable
class Encoder(Protocol):
    """Makes a vector for each item, once, before training.

    A transform is an encoder with an option ``from`` that is another encoder. Building one reads no file and computes
    nothing, so that a run which keeps its vectors can be evaluated where an encoder's files are gone.
    """

    def vectors(self, items: ItemTable, splits: Splits) -> Vectors:
        """float32 or float64 ``[n, d]``, finite, row i for item i.

        What is computed from interactions is computed from the training split alone: ``splits.train``,
        ``splits.sequences`` and ``splits.known_train``. The same vectors every time.
        """

    def fingerprint(self) -> str:
        """Hash of all that determines the vectors besides the data: options, the bytes of files, inner encoders."""


@runtime_checkable
class InForward(Protocol):
    """An encoder with a transform that must go on to hold while vectors are trained.

    Who trains the vectors applies it in every forward, wherever a vector of an item is used, and divides scores by
    ``temperature``. Only the outermost encoder is asked; inside another one its vectors are transformed once.
    """

    temperature: float

    def forward(self, vectors: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """The transform, by which gradients flow."""


@runtime_checkable
class Peers(Protocol):
    """An encoder whose class knows what it should be seen beside, such as a simpler transform of the same vectors."""

    @staticmethod
    def peers(options: Any) -> Sequence[Choice]:
        """Other encoders around the inner one of ``options``, from the simplest on; builds nothing."""
