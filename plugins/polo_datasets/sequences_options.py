"""Options of the source ``sequences``. Holds types, bounds and defaults; reads nothing and imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge


@dataclass(frozen=True, kw_only=True)
class SequencesOptions:
    """Whole sequences of users, and an item table with texts."""

    #: short name of the data, part of the protocol
    name: str = "sequences"
    #: terms of use in one line
    licence: str = ""
    #: folder with the files; if not given: the folder called ``folder`` under $POLO_DATA, then in the cache
    path: str | None = None
    #: name of the folder under $POLO_DATA
    folder: str = "sequences"
    #: a line for each user with ``user`` and the list ``items``, oldest first, or a line for each event with ``user``
    #: and ``item``, those of a user in their order
    sequences: str = "sequences.jsonl.gz"
    #: item table
    items: str = "items.csv.gz"
    #: item table: column with the item
    id_column: str = "item"
    #: item table: column with its title; an item with an empty title is called by its id
    title_column: str = "title"
    #: item table: further columns that are kept as facts, such as genres
    facts: tuple[str, ...] = ()
    #: a table with the column ``id_column`` and texts of items, whose other columns are kept as facts
    texts: str | None = None
    #: items that are in no sequence are left out of the catalogue
    only_taken: bool = True
    #: events that are held out for each user, all of them relevant; without it each user's last item is the test
    #: target, and the one before it the validation target
    test: str | None = None
    #: shown history at most
    history: Annotated[int, Ge(1)] = 20
    #: rows with a shorter history are dropped
    min_history: Annotated[int, Ge(1)] = 1
