"""LastFM (HetRec 2011), in the two forms that people use.

``sdpo``: the rows of S-DPO (arXiv 2406.09215) with their candidate lists. Sequences are sorted by artist number: there
is no time in them. ``hetrec``: the raw archive, each user's artists in the order of their first tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polo import PAD, Context, InputError, ItemTable, RowRandom, Rows, Sequences, Splits
from polo_datasets.building import Divided, Pairs, by_user, finish, first_occurrences, pairs, sequences_of, tied_times
from polo_datasets.download import fetch_archive
from polo_datasets.files import column, find_folder, read_records
from polo_datasets.hetrec import ARTISTS, TAGS, read_artists, read_tags
from polo_datasets.options import LastFMOptions
from polo_datasets.titles import split_titles

_FOLDER = "lastfm-hetrec"
_SDPO = ("train.sft.jsonl.gz", "val.sft.jsonl.gz", "test_a.sft.jsonl.gz", "items.csv.gz", "sequences.jsonl.gz")
LICENCE = (
    "HetRec 2011 LastFM (GroupLens, Last.fm): for non-commercial use; cite Cantador, Brusilovsky & Kuflik, "
    "HetRec 2011, and http://www.lastfm.com"
)


class LastFM:
    """The data source ``lastfm``."""

    def __init__(self, options: LastFMOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads, and for form ``hetrec`` downloads if need be.

        Raises:
            InputError: files missing or malformed, or a longer history than the published rows hold.
        """
        return self._sdpo() if self.options.form == "sdpo" else self._hetrec()

    def _sdpo(self) -> Splits:
        options = self.options
        folder, looked = find_folder(options.path, _FOLDER, self.context.cache, _SDPO)
        if folder is None:
            raise InputError(
                f"the published S-DPO rows of LastFM were not found; looked at {'; '.join(looked)}",
                where="data.path",
                fix=f"set data.path to a folder with {', '.join(_SDPO)}; these rows have no original publisher to "
                "download them from: data.form=hetrec downloads the raw archive instead",
            )
        titles = [str(record["title"]) for _, record in read_records(folder / "items.csv.gz")]
        number = {title: i for i, title in enumerate(titles)}
        train, valid, test = (self._rows(folder / name, number) for name in _SDPO[:3])
        whole = {split: _sequences(folder / "sequences.jsonl.gz", split) for split in ("train", "val", "test")}
        known = [pairs(sequences) for sequences in whole.values()]
        known_all: Pairs = (np.concatenate([u for u, _ in known]), np.concatenate([i for _, i in known]))
        notes = {"rows dropped: history too short": sum(dropped for _, dropped in (train, valid, test))}
        divided = Divided(train[0], valid[0], test[0], whole["train"], known[0], known_all, notes)
        items = ItemTable(titles, [str(i) for i in range(len(titles))])
        splits = finish(divided, name="lastfm", form="sdpo", items=items, licence=LICENCE, notes={}, where=str(folder))
        # without this, a sequence file that does not belong to the rows would quietly make consumed items negatives
        for rows in (splits.train, splits.valid, splits.test):
            strange = np.flatnonzero(~splits.known_all.has(rows.user, rows.target[:, None])[:, 0])
            if len(strange):
                raise InputError(
                    f"user {rows.user[strange[0]]} has a row whose target is not in the user's sequence",
                    where=str(folder / "sequences.jsonl.gz"),
                    fix="take all files from one place",
                )
        return splits

    def _rows(self, path: Path, number: dict[str, int]) -> tuple[Rows, int]:
        users, histories, targets, dropped = [], [], [], 0
        lists: list[list[int]] = []
        size = self.options.history
        for line, record in read_records(path):
            try:
                joined = column(record, "historyList", path, line, "path")
                shown = [number[title] for title in split_titles(joined, "::", number)]
                listed = [number[title] for title in column(record, "itemList", path, line, "path")]
                target = number[column(record, "trueSelection", path, line, "path")]
            except KeyError as error:
                raise InputError(f"title {error} is not in items.csv.gz", where=f"{path}:{line}") from error
            if listed.count(target) != 1:
                raise InputError("the true title is not exactly once in itemList", where=f"{path}:{line}")
            if len(set(listed)) < len(listed):
                raise InputError("itemList names a title twice", where=f"{path}:{line}")
            if lists and len(listed) != len(lists[0]):
                raise InputError(f"{len(listed)} candidates, rows before have {len(lists[0])}", where=f"{path}:{line}")
            if len(shown) < self.options.min_history:
                dropped += 1
                continue
            shown = shown[-size:]
            users.append(column(record, "user", path, line, "path"))
            histories.append([PAD] * (size - len(shown)) + shown)
            targets.append(target)
            lists.append(listed)
        _check_window(histories, size, path)
        count = len(users)
        return Rows(
            np.zeros(count, np.int64),
            np.array(users, np.int64),
            np.array(histories, np.int64).reshape(count, size),
            np.array(targets, np.int64),
            np.array(lists, np.int64).reshape(count, -1),
        ), dropped

    def _hetrec(self) -> Splits:
        options, context = self.options, self.context
        folder, looked = find_folder(options.path, _FOLDER, context.cache, (TAGS, ARTISTS))
        if folder is None:
            if options.path is not None:
                raise InputError(
                    f"the HetRec 2011 files were not found; looked at {'; '.join(looked)}",
                    where="data.path",
                    fix="leave data.path out to download them",
                )
            folder = fetch_archive(
                options.url,
                context.cache / _FOLDER,
                members=(TAGS, ARTISTS),
                terms=LICENCE,
                sha256=options.sha256,
                context=context,
            )
        names = read_artists(folder / ARTISTS)
        user, artist, time = read_tags(folder / TAGS)
        nameless = ~np.isin(artist, np.fromiter(names, np.int64, len(names)))
        user, artist, time = user[~nameless], artist[~nameless], time[~nameless]
        # ties are the rule (a user tags many artists in one day): their order is drawn, by user and artist
        draw = RowRandom(options.seed, "tied tags").uniform(user * (1 << 32) + artist, 1)[:, 0]
        order = np.lexsort((draw, time, user))
        user, artist, time = user[order], artist[order], time[order]
        first = first_occurrences(user, artist)
        numbers, item = np.unique(artist[first], return_inverse=True)
        divided = by_user(sequences_of(user[first], item), options.history, options.min_history, options.seed)
        items = ItemTable([names[i] for i in numbers.tolist()], [str(i) for i in numbers.tolist()])
        notes = {
            "tags dropped: artist without a name": int(nameless.sum()),
            "tags dropped: not the first of its user and artist": int((~first).sum()),
        }
        return finish(
            divided,
            name="lastfm",
            form="hetrec",
            items=items,
            licence=LICENCE,
            notes=notes,
            where=str(folder),
            tied_times=tied_times(user[first], time[first]),
        )


def _sequences(path: Path, split: str) -> Sequences:
    records = [record for _, record in read_records(path) if record.get("split") == split]
    return Sequences.of([record["user"] for record in records], [record["items"] for record in records])


def _check_window(histories: Sequence[Sequence[int]], size: int, path: Path) -> None:
    """The published rows hold at most 10 titles: a longer window would silently be the same as 10."""
    if histories and size > 1 and all(row[0] == PAD for row in histories):
        raise InputError(
            f"no row of {path.name} shows {size} items; the published rows hold 10 at most",
            where="data.history",
            fix="set data.history to 10 or less, or use data.form=hetrec",
        )
