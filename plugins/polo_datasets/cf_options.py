"""Options of the source ``cf``. Holds types, bounds and defaults; reads nothing and imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True, kw_only=True)
class CfOptions:
    """Sets of items without time, order or titles, in three text files."""

    #: short name of the data, part of the protocol
    name: str = "cf"
    #: terms of use in one line
    licence: str = ""
    #: folder with the files; if not given: ``folder`` under $POLO_DATA, then in the cache
    path: str | None = None
    #: name of the folder under $POLO_DATA
    folder: str = "cf"
    #: a line for each user, ``user item item ...``, or one for each pair, ``user item``; .gz may follow the name
    train: str = "train.txt.gz"
    #: the same of the validation split; null draws it from the training file
    valid: str | None = "valid.txt.gz"
    #: the same of the test split
    test: str = "test.txt.gz"
    #: valid null: share of each user's training items, rounded up, that is drawn for validation
    valid_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    #: valid null: seed of the draw
    seed: Annotated[int, Ge(0)] = 0
