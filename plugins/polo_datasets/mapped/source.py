"""Interactions of a Parquet file as splits on the disk: made once, found again in the cache by what they are made of.

Knows the cache. What is read, sorted and opened is the business of the modules beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from polo import Context, InputError, IntArray, ItemTable, PoloError, Splits, whole_folder
from polo_datasets.building import BLOCK, blocks_of, fingerprint, refuse_empty
from polo_datasets.events import TRAIN
from polo_datasets.interactions import filters_said, only
from polo_datasets.mapped import opening, reading, sorting
from polo_datasets.options import RowsOptions
from polo_datasets.rows import event_files, item_titles, read_event

#: of the files; another one makes them anew
_VERSION: Final = 1
_FACTS: Final = "facts.json"


def load(options: RowsOptions, context: Context) -> Splits:
    """The splits that ``rows.read_interactions`` gives of the same files, under the same fingerprint.

    Raises:
        InputError: a file is missing, or a record does not fit (file and line are named).
    """
    titles, repeated_titles = item_titles(options)
    path = event_files(options)[TRAIN]
    folder = context.cache / "columns" / _key(path, titles, options)
    facts = _facts(folder)
    if facts is None:
        with _alone(folder.with_suffix(".lock")):
            facts = _facts(folder) or _made(path, titles, options, folder, context)
    items = _items(titles, facts["items"])
    opened = opening.open_columns(folder, n_items=len(items), history=options.history, min_history=options.min_history)
    parts = (opened.train, opened.valid, opened.test)
    refuse_empty(parts, options.name, str(path))
    notes = {"items with the title of another item": repeated_titles, **facts["notes"], **opened.notes}
    return Splits(
        name=options.name,
        form=_form(options),
        items=items,
        train=opened.train,
        valid=opened.valid,
        test=opened.test,
        sequences=opened.sequences,
        known_train=opened.known_train,
        known_all=opened.known_all,
        fingerprint=facts["fingerprint"],
        licence=options.licence,
        tied_times=facts["tied_times"],
        notes={text: count for text, count in notes.items() if count},
    )


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: of those of a run one makes the columns, and the others find them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise PoloError(
            f"cannot write: {error.strerror or error}", where=str(path), fix="set POLO_CACHE to another folder"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _made(path: Path, titles: dict[str, str], options: RowsOptions, folder: Path, context: Context) -> dict[str, Any]:
    context.say(f"sorting the columns of {path} into {folder} (once for this file and these options)")
    with whole_folder(folder) as place:
        _make(path, titles, options, place)
    facts = _facts(folder)
    if facts is None:
        raise PoloError("the columns that were just written are gone", where=str(folder), fix="start again")
    return facts


def _items(titles: dict[str, str], left: list[int] | None) -> ItemTable:
    """The table; where a filter took items from it, what it left."""
    items = ItemTable(list(titles.values()), list(titles))
    return items if left is None else only(items, left)


def _form(options: RowsOptions) -> str:
    return f"interactions, leave_last_out{filters_said(options)}"


def _key(path: Path, titles: dict[str, str], o: RowsOptions) -> str:
    """Of everything that the columns are made of."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    rating = (o.rating_column, o.min_rating) if o.min_rating is not None else None
    columns = [o.user_column or "user", o.item_column, o.time_column, rating]
    made_of = [_VERSION, content, list(titles.items()), columns, o.name, o.history, o.min_history]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]


def _facts(folder: Path) -> dict[str, Any] | None:
    """What was written beside the columns; ``None`` where they are not there, or cut short."""
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts if opening.whole(folder, facts["sizes"]) else None


def _make(path: Path, titles: dict[str, str], o: RowsOptions, place: Path) -> None:
    """Reads, sorts and writes; and takes the fingerprint of what came of it."""
    number = {key: at for at, key in enumerate(titles)}
    with tempfile.TemporaryDirectory(prefix="sorting-", dir=place) as name:
        events = Path(name) / "events"
        asked = reading.Asked(
            path,
            o.user_column or "user",
            o.item_column,
            o.time_column,
            o.rating_column if o.min_rating is not None else None,
            -np.inf if o.min_rating is None else o.min_rating,
            number,
            lambda record, line: read_event(record, o, number, path, line),
        )
        read = reading.read(asked, events)
        if not read.by_user.sum():
            raise _empty(path, read.low)
        rated = o.min_rating is not None
        kept = np.flatnonzero(read.by_item) if rated else np.arange(len(titles))
        numbers = np.zeros(len(titles), np.int64)
        numbers[kept] = np.arange(len(kept))
        found = sorting.sort(
            events, read.by_user, numbers, place, min_history=o.min_history, timed=o.time_column is not None
        )
    left = kept.tolist() if rated else None
    items = _items(titles, left)
    opened = opening.open_columns(place, n_items=len(items), history=o.history, min_history=o.min_history)
    rows, known = (opened.train, opened.valid, opened.test), (_users(opened), blocks_of(opened.events))
    ties = found.tied / found.neighbours if found.neighbours else None
    facts = {
        "fingerprint": fingerprint(o.name, _form(o), items, rows, opened.sequences, known),
        "notes": {
            "interactions dropped: repeated user and item": found.repeated,
            **({f"interactions dropped: rating below {o.min_rating:g}": read.low} if o.min_rating is not None else {}),
            **({"items dropped: no interaction left": len(titles) - len(kept)} if rated else {}),
        },
        "tied_times": ties,
        "items": left,
        "sizes": {name: (place / name).stat().st_size for name in sorting.COLUMNS},
    }
    (place / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def _empty(path: Path, low: int) -> InputError:
    if low:
        return InputError("empty data set: no interactions are left", where=str(path), fix="filter less")
    return InputError("empty data set: no interactions", where=str(path), fix="give a file with events")


def _users(opened: opening.Opened) -> tuple[tuple[int, ...], Iterator[IntArray]]:
    """Whose each event is, by blocks."""
    ends, total = np.cumsum(opened.length), len(opened.events)
    starts = range(0, total, BLOCK)
    return (total,), (
        np.searchsorted(ends, np.arange(start, min(start + BLOCK, total)), side="right") for start in starts
    )
