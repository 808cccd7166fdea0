"""Options of the source ``recbole``. Holds types, bounds and defaults; reads nothing and imports no array library."""

from __future__ import annotations

from dataclasses import dataclass

from polo import InputError
from polo_datasets.split_options import SplitOptions


@dataclass(frozen=True, kw_only=True)
class RecBoleOptions(SplitOptions):
    """RecBole's atomic files ``NAME.inter`` and, if it is there, ``NAME.item``."""

    #: of the files, and of the data in the protocol
    name: str
    #: terms of use in one line
    licence: str = ""
    #: folder with the files; if not given: the folder ``name`` under $POLO_DATA, then in the cache
    path: str | None = None
    #: instead of ``NAME.inter``: the middle words of three files that hold the parts, such as ``[train, valid, test]``
    #: for ``NAME.train.inter`` and so on; ``split`` then plays no part
    benchmark_filename: tuple[str, ...] = ()
    #: fields, by the names in the first line without their types
    user_field: str = "user_id"
    #: field with the item, in both files
    item_field: str = "item_id"
    #: field with a number to order events by; null keeps the order of the file
    time_field: str | None = "timestamp"
    #: field with a number that ``min_rating`` is compared with
    rating_field: str = "rating"
    #: field of the item file with the title; an item without one is called by its id, as all are if it is not given
    title_field: str | None = None
    #: further fields of the item file that are kept as facts
    facts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.benchmark_filename) not in (0, 3):
            said = f"benchmark_filename has {len(self.benchmark_filename)} words"
            raise InputError(said, fix="give three: of the training, the validation and the test file")
