"""Options of the data sources. Holds types, bounds and defaults; reads nothing and imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from polo import InputError
from polo_datasets.split_options import SplitOptions


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """The generated world."""

    #: seed of the world; another seed is another world
    seed: Annotated[int, Ge(0)] = 0
    #: how many artists
    items: Annotated[int, Ge(100), Le(5000)] = 1056
    #: how many users; each gives one validation row and one test row
    users: Annotated[int, Ge(10)] = 2400
    #: shown history at most; the best possible score is exact from 10 on
    history: Annotated[int, Ge(1)] = 10
    #: rows with a shorter history are dropped
    min_history: Annotated[int, Ge(1)] = 3
    #: shortest sequence of a user
    shortest: Annotated[int, Ge(4)] = 20
    #: longest sequence of a user
    longest: Annotated[int, Ge(4), Le(60)] = 40


@dataclass(frozen=True, kw_only=True)
class LastFMOptions:
    """LastFM (HetRec 2011)."""

    #: folder with the files; if not given: $POLO_DATA/lastfm-hetrec, then the cache, then (form hetrec) a download
    path: str | None = None
    #: ``sdpo``: the published rows, sorted by artist number, no time in them; ``hetrec``: the raw archive, in tag time
    form: Literal["sdpo", "hetrec"] = "sdpo"
    #: shown history at most; the published rows hold 10
    history: Annotated[int, Ge(1)] = 10
    #: rows with a shorter history are dropped
    min_history: Annotated[int, Ge(1)] = 3
    #: form hetrec: seed of the order of artists tagged in the same instant, and of the split of users
    seed: Annotated[int, Ge(0)] = 0
    #: form hetrec: the archive at its original publisher
    url: str = "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip"
    #: form hetrec: refuse an archive with another SHA-256
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class ML100KOptions:
    """MovieLens-100K."""

    #: folder with interactions.csv.gz and items.csv.gz, or GroupLens' u.data and u.item;
    #: if not given: $POLO_DATA/ml-100k, then the cache
    path: str | None = None
    #: shown history at most
    history: Annotated[int, Ge(1)] = 10
    #: rows with a shorter history are dropped
    min_history: Annotated[int, Ge(1)] = 3
    #: ``display``: "The Sting"; ``published``: "Sting, The (1973)"
    titles: Literal["display", "published"] = "display"


@dataclass(frozen=True, kw_only=True)
class RowsOptions(SplitOptions):
    """Rows from files: .jsonl, .json (a list), .csv, .tsv or .parquet, each also as .gz."""

    #: ``lists``: each row holds a history, a candidate list and the true next title;
    #: ``interactions``: each row is one event of a user, titles come from an item table
    form: Literal["lists", "interactions"] = "lists"
    #: short name of the data, part of the protocol
    name: str = "rows"
    #: terms of use in one line
    licence: str = ""

    #: file of the training split; of form interactions it takes, with the two below, the place of ``interactions``, and
    #: ``split`` plays no part
    train: str | None = None
    #: file of the validation split
    valid: str | None = None
    #: file of the test split
    test: str | None = None
    #: lists: column with the shown titles, oldest first: a list, or text joined by ``separator``
    history_column: str = "historyList"
    #: lists: column with the candidate titles (the same two ways); rows without it are ranked on drawn candidates
    candidates_column: str = "itemList"
    #: lists: column with the title that was chosen
    target_column: str = "trueSelection"
    #: joins titles in one text
    separator: str = "::"

    #: interactions: the file of all events
    interactions: str | None = None
    #: item table with a title for each item (form interactions)
    items: str | None = None
    #: interactions: column with the item of an event
    item_column: str = "item"
    #: interactions: column with a number to order events by; null keeps the order of the file
    time_column: str | None = "timestamp"
    #: interactions: column with a number that ``min_rating`` is compared with
    rating_column: str = "rating"
    #: interactions, one file in Parquet, split leave_last_out: columns are sorted once, kept in the cache, and mapped
    #: into memory, which then does not grow with the events; the splits are the same
    mapped: bool = False
    #: item table: column with the item
    id_column: str = "item"
    #: item table: column with its title
    title_column: str = "title"
    #: column with the user. Lists without it: rows that continue one another are taken for one user
    user_column: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.mapped:
            return
        for name, fits, fix in (
            ("form", self.form == "interactions", "set it to interactions"),
            ("split", self.split == "leave_last_out", "leave it out"),
            ("k_core", self.k_core == 1, "filter the file before"),
            ("train", self.train is None and self.valid is None and self.test is None, "give data.interactions"),
            ("interactions", (self.interactions or ".parquet").endswith(".parquet"), "name a file in Parquet"),
        ):
            if not fits:
                said = getattr(self, name)
                raise InputError(f"mapped interactions cannot have {name}: {said}", where=f"data.{name}", fix=fix)
