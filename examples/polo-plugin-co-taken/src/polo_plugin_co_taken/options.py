"""Options. Imports no torch: a recipe is checked before torch is loaded."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class CoTakenOptions:
    """What a recipe may say of `co_taken`."""

    #: negatives drawn for each row
    k: Annotated[int, Ge(1)] = 8
    #: weight of an item that never stood beside the row's last one; the larger, the nearer to uniform draws
    floor: Annotated[float, Gt(0)] = 0.1


@dataclass(frozen=True, kw_only=True)
class FocalPairsOptions:
    """What a recipe may say of `focal_pairs`."""

    #: how much less pairs count that are told apart already; 0: all alike
    gamma: Annotated[float, Ge(0)] = 2.0
