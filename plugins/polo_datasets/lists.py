"""Rows that come with a history, a candidate list and the true title, as S-DPO and LLaRA publish them.

Such files name no sequence and often no user. Consecutive rows of which the second's history is the first's history and
target, cut to the window, are one walk of one user; from these walks come the training sequences and what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polo import PAD, InputError, IntArray, ItemTable, Rows, Sequences, Splits
from polo_datasets.building import Divided, finish, pairs
from polo_datasets.files import column, need_file, read_records
from polo_datasets.options import RowsOptions
from polo_datasets.titles import split_titles


@dataclass
class _Read:
    """A file's rows as it says them: titles, not numbers."""

    path: Path
    users: list[str | None]
    histories: list[str | list[str]]
    lists: list[list[str]]
    targets: list[str]


def read_lists(options: RowsOptions) -> Splits:
    """The three files -> splits.

    The catalogue is every title that occurs, in the order of lists, targets, histories; joined histories are taken
    apart with the help of the titles already known (a title may hold characters of the separator).

    Raises:
        InputError: a file is missing or malformed; the error names file and line.
    """
    files = []
    for name, value in (("train", options.train), ("valid", options.valid), ("test", options.test)):
        if value is None:
            raise InputError(
                f"form lists needs data.{name}", where="data", fix=f"set data.{name} to the path of a file"
            )
        files.append(_read(need_file(Path(value).expanduser(), f"data.{name}"), options))
    number: dict[str, int] = {}
    for file in files:
        for listed, title in zip(file.lists, file.targets, strict=True):
            for each in (*listed, title):
                number.setdefault(each, len(number))
    named = len(number)
    shown = [[_numbers(history, number, options.separator) for history in file.histories] for file in files]
    targets = [[number[title] for title in file.targets] for file in files]
    users: dict[str, int] = {}
    dropped = dict.fromkeys(("short", "unclear"), 0)
    splits, sequences = [], []
    for file, histories, target in zip(files, shown, targets, strict=True):
        walks = stitch(histories, target, file.users)
        owner = _owners(walks, file.users, users)
        splits.append(_rows(file, histories, target, owner, number, options, dropped))
        whole = [histories[start] + target[start:end] for start, end in walks]
        sequences.append(Sequences.of([int(owner[start]) for start, _ in walks], whole))
    known = [pairs(s) for s in sequences]
    known_all = (np.concatenate([u for u, _ in known]), np.concatenate([i for _, i in known]))
    divided = Divided(splits[0], splits[1], splits[2], sequences[0], known[0], known_all, {})
    return finish(
        divided,
        name=options.name,
        form="lists",
        items=ItemTable(list(number), [str(i) for i in range(len(number))]),
        licence=options.licence,
        notes={
            f"rows dropped: history shorter than {options.min_history}": dropped["short"],
            "rows dropped: true title more than once in its list": dropped["unclear"],
            "titles that occur in histories only": len(number) - named,
        },
        where=str(files[0].path),
    )


def stitch(histories: list[list[int]], targets: list[int], users: list[str | None]) -> list[tuple[int, int]]:
    """Spans [start, end) of consecutive rows that are one walk.

    Row r + 1 continues row r if its history is (row r's history + row r's target), cut to the longest history of the
    file, and both name the same user (or none).

    Example:
        >>> stitch([[1, 2], [2, 3], [7, 8]], [3, 4, 9], [None] * 3)
        [(0, 2), (2, 3)]
    """
    window = max((len(history) for history in histories), default=0)
    spans, start = [], 0
    for r in range(1, len(histories) + 1):
        goes_on = (
            r < len(histories)
            and users[r] == users[r - 1]
            and histories[r] == (histories[r - 1] + [targets[r - 1]])[-window:]
        )
        if not goes_on:
            spans.append((start, r))
            start = r
    return spans if histories else []


def _owners(walk: list[tuple[int, int]], names: list[str | None], users: dict[str, int]) -> IntArray:
    """A user number for each row: by name, or a new one for each walk."""
    owner = np.empty(len(names), np.int64)
    for start, end in walk:
        name = names[start]
        # a nameless walk gets a key that no name can have
        owner[start:end] = users.setdefault(f"\0{len(users)}" if name is None else name, len(users))
    return owner


def _rows(
    file: _Read,
    shown: list[list[int]],
    target: list[int],
    owner: IntArray,
    number: Mapping[str, int],
    options: RowsOptions,
    dropped: dict[str, int],
) -> Rows:
    keep, history, lists = [], [], []
    for r, items in enumerate(shown):
        listed = [number[title] for title in file.lists[r]]
        if len(items) < options.min_history:
            dropped["short"] += 1
        elif listed.count(target[r]) > 1:
            dropped["unclear"] += 1
        else:
            items = items[max(0, len(items) - options.history) :]
            keep.append(r)
            history.append([PAD] * (options.history - len(items)) + items)
            lists.append(listed)
    kept = np.array(keep, np.int64)
    return Rows(
        np.zeros(len(keep), np.int64),
        owner[kept],
        np.array(history, np.int64).reshape(len(keep), options.history),
        np.array(target, np.int64)[kept],
        np.array(lists, np.int64) if lists and lists[0] else None,
    )


def _read(path: Path, options: RowsOptions) -> _Read:
    out = _Read(path, [], [], [], [])
    for line, record in read_records(path):
        where = f"{path}:{line}"
        listed = record.get(options.candidates_column)
        candidates = _titles(listed, options.separator, where, options.candidates_column) if listed else []
        target = column(record, options.target_column, path, line, "target_column")
        if not isinstance(target, str) or not target:
            raise InputError(f"{options.target_column!r} is {target!r}, not a title", where=where)
        if candidates and target not in candidates:
            # a joined list may hold titles with characters of the separator; the target is one we know
            if isinstance(listed, str):
                candidates = split_titles(listed, options.separator, {*candidates, target})
            if target not in candidates:
                raise InputError(f"the true title {target!r} is not in its candidate list", where=where)
        twice = next((title for title in candidates if title != target and candidates.count(title) > 1), None)
        if twice is not None:  # rows with the true title twice are left out and counted
            raise InputError(
                f"the candidate list names {twice!r} twice", where=where, fix="give every candidate once: it would be "
                "counted against the true title twice",
            )  # fmt: skip
        if out.lists and len(candidates) != len(out.lists[0]):
            raise InputError(
                f"{len(candidates)} candidates, the rows before have {len(out.lists[0])}",
                where=where,
                fix="give every row a list of one length, or none a list",
            )
        shown = column(record, options.history_column, path, line, "history_column")
        if not isinstance(shown, str):
            shown = _titles(shown, options.separator, where, options.history_column)
        user = None
        if options.user_column is not None:
            user = str(column(record, options.user_column, path, line, "user_column"))
        out.users.append(user)
        out.histories.append(shown)
        out.lists.append(candidates)
        out.targets.append(target)
    if not out.targets:
        raise InputError("empty data set: no rows", where=str(path), fix="give a file with rows")
    return out


def _titles(value: Any, separator: str, where: str, name: str) -> list[str]:
    if isinstance(value, str):
        return value.split(separator)
    if isinstance(value, list) and all(isinstance(title, str) for title in value):
        return list(value)
    raise InputError(f"{name!r} is neither text nor a list of texts", where=where)


def _numbers(shown: str | list[str], number: dict[str, int], separator: str) -> list[int]:
    if shown in ("", []):
        return []
    titles = split_titles(shown, separator, number) if isinstance(shown, str) else shown
    return [number.setdefault(title, len(number)) for title in titles]
