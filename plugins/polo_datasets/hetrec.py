"""The two files of the HetRec 2011 LastFM archive that are used: artists and dated tags. Knows their layout only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from polo import InputError, IntArray
from polo_datasets.files import open_text

TAGS: Final = "user_taggedartists-timestamps.dat"
ARTISTS: Final = "artists.dat"


def read_artists(path: Path) -> dict[int, str]:
    """Artist number -> name, from tab-separated ``id, name, url, pictureURL`` with a header.

    Raises:
        InputError: a line that does not fit, or text that is not UTF-8.
    """
    names: dict[int, str] = {}
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                fields = line.rstrip("\r\n").split("\t")
                if number == 1 or fields == [""]:
                    continue
                if len(fields) < 2 or not fields[0].isdecimal() or not fields[1].strip():
                    raise InputError("not 'id <tab> name <tab> ...'", where=f"{path}:{number}", fix="get the file anew")
                names[int(fields[0])] = fields[1].strip()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error.reason}", where=str(path), fix="get the file anew") from error
    return names


def read_tags(path: Path) -> tuple[IntArray, IntArray, IntArray]:
    """User, artist and time (milliseconds since 1970) of every tag, from ``userID, artistID, tagID, timestamp``.

    Raises:
        InputError: a line that does not hold four whole numbers.
    """
    table: list[tuple[int, int, int]] = []
    with open_text(path, "latin-1") as file:  # digits only: no byte can fail to decode before the line is named
        for number, line in enumerate(file, 1):
            if number == 1 or not line.strip():
                continue
            try:
                user, artist, _, time = map(int, line.split("\t"))
            except ValueError as error:
                raise InputError(
                    "not four whole numbers with tabs between", where=f"{path}:{number}", fix="get the file anew"
                ) from error
            table.append((user, artist, time))
    columns = np.array(table, np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]
