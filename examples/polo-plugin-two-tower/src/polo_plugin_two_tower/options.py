"""Options. Imports no torch: a recipe is checked before torch is loaded."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class TwoTowerOptions:
    """What a recipe may say of `two_tower`."""

    #: numbers of a vector
    dim: Annotated[int, Ge(1)] = 32
    #: width of each tower's hidden layer
    hidden: Annotated[int, Ge(1)] = 64
    #: numbers that a title's letters are hashed to
    letters: Annotated[int, Ge(1)] = 256
    #: every cosine is divided by it
    tau: Annotated[float, Gt(0)] = 0.1
