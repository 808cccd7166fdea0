"""The source ``sequences``: whole sequences of users from a file, and an item table with texts.

Knows columns and the folder they lie in. Reading is done by ``files``, splitting by ``building``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polo import Context, InputError, IntArray, ItemTable, Ragged, Rows, Sequences, Splits
from polo_datasets.building import Divided, finish, first_occurrences, leave_last_out, pairs, sequences_of
from polo_datasets.files import column, find_folder, read_records
from polo_datasets.sequences_options import SequencesOptions


class SequencesSource:
    """The data source ``sequences``.

    Without ``test``: leave-last-out. With it, ``test`` holds a set of items for each user, all relevant; the last item
    of each user's sequence is the validation target, and the test row shows the sequence's last items.
    """

    def __init__(self, options: SequencesOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: a file is missing, or a record does not fit (file and line are named).
        """
        o = self.options
        wanted = [name for name in (o.sequences, o.items, o.texts, o.test) if name is not None]
        folder, looked = find_folder(o.path, o.folder, self.context.cache, wanted)
        if folder is None:
            raise InputError(f"no data for '{o.name}'; looked at {', '.join(looked)}", where="data",
                             fix="set data.path, or POLO_DATA to the folder above it")  # fmt: skip
        events = list(_events(folder / o.sequences))
        held = [] if o.test is None else list(_events(folder / o.test))
        taken = {item for _, item in (*events, *held)}
        table, untitled = self._items(folder, taken)
        number = {one: i for i, one in enumerate(table.ids)}
        unknown = next((item for item in taken if item not in number), None)
        if unknown is not None:
            raise InputError(f"item {unknown!r} is not in the item table", where=str(folder / o.items), fix="add it")
        users: dict[str, int] = {}
        known = _numbered(events, users, number)
        repeated = ~first_occurrences(*known) if len(events) else np.zeros(0, np.bool_)
        sequences = sequences_of(known[0][~repeated], known[1][~repeated])
        divided = (
            leave_last_out(sequences, o.history, o.min_history)
            if o.test is None
            else _sets_held_out(sequences, _numbered(held, users, number), o.history, o.min_history)
        )
        return finish(
            divided,
            name=o.name,
            form="sequences, " + ("leave_last_out" if o.test is None else "sets held out"),
            items=table,
            licence=o.licence,
            notes={"events dropped: repeated user and item": int(repeated.sum()), "items without a title": untitled},
            where=str(folder / o.sequences),
        )

    def _items(self, folder: Path, taken: set[str]) -> tuple[ItemTable, int]:
        """The catalogue, and how many of its titles are empty."""
        o = self.options
        path, found = folder / o.items, dict[str, Mapping[str, Any]]()
        for line, record in read_records(path):
            key = str(column(record, o.id_column, path, line, "id_column"))
            column(record, o.title_column, path, line, "title_column")
            for name in o.facts:
                column(record, name, path, line, "facts")
            if key in taken or not o.only_taken:
                found[key] = record
        said = {} if o.texts is None else dict(_texts(folder / o.texts, o.id_column))
        columns = list(dict.fromkeys(name for one in said.values() for name in one))
        titles = [str(record[o.title_column]).strip() for record in found.values()]
        facts: Mapping[str, Sequence[str]] = {
            name: [str(record[name]) for record in found.values()] for name in o.facts
        } | {name: [said.get(key, {}).get(name, "") for key in found] for name in columns}
        named = [title or key for title, key in zip(titles, found, strict=True)]
        return ItemTable(named, list(found), facts), sum(not title for title in titles)


def _sets_held_out(sequences: Sequences, held: tuple[IntArray, IntArray], history: int, min_history: int) -> Divided:
    """Sets of a file are the test; of each sequence the last item is the validation target, the rest trains.

    An item that is held out and stands in the user's sequence too is no answer.
    """
    last = leave_last_out(_with_one_more(sequences), history, min_history)
    order = np.argsort(held[0], kind="stable")
    user, item = held[0][order], held[1][order]
    taken = pairs(sequences)
    known = set(zip(*(part.tolist() for part in taken), strict=True))
    new = np.array([pair not in known for pair in zip(user.tolist(), item.tolist(), strict=True)], np.bool_)
    sets = sequences_of(user[new], item[new])
    lists = Ragged(sets.items, sets.offsets)
    place = {u: i for i, u in enumerate(sets.user.tolist())}
    there = np.array([u in place for u in last.test.user.tolist()], np.bool_)
    rows = last.test[np.flatnonzero(there)]
    relevant = lists[np.array([place[u] for u in rows.user.tolist()], np.int64)]
    test = Rows(rows.id, rows.user, rows.history, relevant.items[relevant.offsets[:-1]], relevant=relevant)
    both = (np.concatenate([taken[0], user[new]]), np.concatenate([taken[1], item[new]]))
    return replace(last, test=test, known_all=both)


def _with_one_more(sequences: Sequences) -> Sequences:
    """Sequences with a place after the last, whose item (0) stands for the held-out set."""
    ends = sequences.offsets[1:]
    items = np.insert(sequences.items, ends, 0)
    return Sequences(sequences.user, items, sequences.offsets + np.arange(len(ends) + 1))


def _numbered(
    events: Sequence[tuple[str, str]], users: dict[str, int], items: Mapping[str, int]
) -> tuple[IntArray, IntArray]:
    user = np.array([users.setdefault(who, len(users)) for who, _ in events], np.int64)
    return user, np.array([items[item] for _, item in events], np.int64)


def _events(path: Path) -> Iterator[tuple[str, str]]:
    """(user, item), in the order of the file."""
    for line, record in read_records(path):
        who = str(column(record, "user", path, line, "sequences"))
        several = record.get("items")
        if several is None:
            yield who, str(column(record, "item", path, line, "sequences"))
        elif isinstance(several, list):
            yield from ((who, str(item)) for item in several)
        else:
            raise InputError(f"items is {several!r}, not a list", where=f"{path}:{line}", fix="give a list of items")


def _texts(path: Path, id_column: str) -> Iterator[tuple[str, dict[str, str]]]:
    for line, record in read_records(path):
        key = str(column(record, id_column, path, line, "id_column"))
        yield key, {name: str(value) for name, value in record.items() if name != id_column}
