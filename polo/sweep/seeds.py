"""Words such as ``0..4`` and ``0,3,7``: the seeds of one recipe. Knows no run."""

from __future__ import annotations

import re

from polo.errors import InputError

#: more than anybody means
_MOST = 1000
_PART = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9}))?", re.ASCII)


def seeds_of(text: str) -> list[int]:
    """Whole numbers and ranges, both ends among them, each once and in the order given.

    Raises:
        InputError: it is none of that.

    Example:
        >>> seeds_of("0..3"), seeds_of("7, 0..2,1")
        ([0, 1, 2, 3], [7, 0, 1, 2])
        >>> seeds_of("4..2")
        Traceback (most recent call last):
        polo.errors.InputError: --seeds: '4..2' ends before it begins
          -> write 0..4 or 0,3,7
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise _wrong(f"{part.strip()!r} is no seed and no range")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise _wrong(f"{part.strip()!r} ends before it begins")
        if last - first >= _MOST:
            raise _wrong(f"{part.strip()!r} are more than {_MOST} seeds")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _wrong(what: str) -> InputError:
    return InputError(what, where="--seeds", fix="write 0..4 or 0,3,7")
