"""Options of the baselines. Imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len

from polo import Ref


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A finished run as a baseline."""

    #: folder of the run
    path: str
    #: which of its systems: ``model``, a stage, or a baseline
    system: Annotated[str, Len(1)] = "model"
    #: how it is called in results; the folder's name if not given
    label: Annotated[str, Len(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """A baseline that is fitted on users and scores rows."""

    #: history: the shown items, as a model sees them; training: all training items of the row's user (as published)
    looks_at: Literal["history", "training"] = "history"


@dataclass(frozen=True, kw_only=True)
class ContentOptions(ProfileOptions):
    """Similarity of items by what is known of them."""

    #: where their vectors come from, such as ``lsa`` (words of titles) or ``text_encoder``
    encoder: Ref["encoder"]


@dataclass(frozen=True, kw_only=True)
class EaseOptions(ProfileOptions):
    """EASE."""

    #: weight of the squared norm (paper: 200 to 1,000)
    ridge: Annotated[float, Gt(0)] = 200.0


@dataclass(frozen=True, kw_only=True)
class IalsOptions(ProfileOptions):
    """iALS."""

    #: length of the vectors
    width: Annotated[int, Ge(1)] = 64
    #: solves of all users and of all items
    epochs: Annotated[int, Ge(1)] = 16
    #: weight of every entry as a zero, beside the 1 of those that were taken (paper: 0.1 on MovieLens)
    unobserved: Annotated[float, Gt(0)] = 0.1
    #: weight of the squared norms (paper: 0.003 on MovieLens)
    regulariser: Annotated[float, Gt(0)] = 0.003
    #: how the weight grows with the number of entries; 1 is weighted, 0 uniform
    nu: Annotated[float, Ge(0)] = 1.0
