"""The source ``cf``: who took what, as text files of numbers, in the form of LightGCN's and later published code.

Knows lines of users and items. There is no time, order or title in such files: rows show no history, each held-out row
is a user with the set of what the user took, and an item is called by its id.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from polo import Context, InputError, IntArray, ItemTable, Splits
from polo_datasets.building import finish
from polo_datasets.cf_options import CfOptions
from polo_datasets.events import TEST, TRAIN, VALID, divide, in_order
from polo_datasets.files import find_folder, open_text
from polo_datasets.splitting import by_ratio


class Cf:
    """The data source ``cf``.

    A training row is one pair of user and item. Items of the catalogue are those of any file, ascending.
    """

    def __init__(self, options: CfOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: a file is missing, or a line does not fit (file and line are named).
        """
        o = self.options
        files = {TRAIN: o.train, TEST: o.test} if o.valid is None else {TRAIN: o.train, VALID: o.valid, TEST: o.test}
        folder, looked = find_folder(o.path, o.folder, self.context.cache, list(files.values()))
        if folder is None:
            raise InputError(
                f"no data for {o.name!r}; looked at {'; '.join(looked)}",
                where="data",
                fix="set data.path, or POLO_DATA to the folder above it",
            )
        read = {part: read_pairs(folder / name) for part, name in files.items()}
        part = np.repeat(np.array(list(read)), [len(pairs) for pairs in read.values()])
        user = _numbered([pair[0] for pairs in read.values() for pair in pairs])[1]
        ids, item = _numbered([pair[1] for pairs in read.values() for pair in pairs])
        if not len(user):
            raise InputError("empty data set: no pairs", where=str(folder / o.train), fix="give files with pairs")
        events, at = in_order(user, item, None, part)
        part = part[at]
        if o.valid is None:
            mine = np.flatnonzero(part == TRAIN)
            part[mine] = by_ratio(
                events.user[mine], events.item[mine], valid_share=o.valid_share, test_share=0.0, share_of="user",
                seed=o.seed,
            )  # fmt: skip
        return finish(
            divide(events, part, history=0, min_history=0, sets=True),
            name=o.name,
            form="sets, " + ("given" if o.valid is not None else "validation drawn from each user's training items"),
            items=ItemTable(ids, ids),
            licence=o.licence,
            notes={"pairs dropped: there before": len(user) - len(events)},
            where=str(folder / o.train),
        )


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """(user, item) of each line ``user item item ...``, in the order of the file; a user alone has none.

    Raises:
        InputError: the file cannot be read, or a line holds anything but whole numbers.
    """
    found: list[tuple[str, str]] = []
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                words = line.split()
                strange = next((word for word in words if not (word.isascii() and word.isdecimal())), None)
                if strange is not None:
                    raise InputError(
                        f"{strange!r} is no whole number",
                        where=f"{path}:{number}",
                        fix="give lines `user item item ...` of numbers from 0",
                    )
                found += [(words[0], item) for item in words[1:]]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix="check the file; was it cut off?") from error
    return found


def _numbered(words: list[str]) -> tuple[list[str], IntArray]:
    """Different numbers, ascending, as their publisher writes them, and which of them each word is."""
    ascending = sorted({int(word) for word in words})
    place = {value: at for at, value in enumerate(ascending)}
    return [str(value) for value in ascending], np.array([place[int(word)] for word in words], np.int64)
