"""Words for messages: the nearest valid name, lists. Knows nothing of recipes or plugins."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like ``name``, or ``None`` if none is like it.

    Example:
        >>> nearest("boundry", ["uniform", "boundary"])
        'boundary'
    """
    known = sorted(set(names))
    # names longer than this are no slips of the pen, and comparing them takes long
    if len(name) > 100:
        return None
    lower = {item.lower(): item for item in known}
    wanted = name.lower()
    found = difflib.get_close_matches(wanted, lower, n=5, cutoff=0.6)
    if found:
        # among equally like names, the one with the same letters, swapped by a quick hand
        return lower[max(found, key=lambda item: _likeness(wanted, item))]
    starts = [item for item in known if len(name) >= 2 and item.lower().startswith(name.lower())]
    return starts[0] if len(starts) == 1 else None


def _likeness(a: str, b: str) -> tuple[float, bool]:
    ratio = difflib.SequenceMatcher(None, b, a).ratio()
    return round(ratio, 3), sorted(a) == sorted(b)


def did_you_mean(name: str, names: Iterable[str], *, label: str = "known") -> str:
    """What to write instead of ``name``: the nearest of ``names``, else all of them (shortened).

    Example:
        >>> did_you_mean("stage", ["stages", "seed"])
        "did you mean 'stages'?"
        >>> did_you_mean("q", ["stages", "seed"])
        'known: seed, stages'
    """
    known = sorted(set(names))
    best = nearest(name, known)
    if best is not None and best != name:
        return f"did you mean {best!r}?"
    return f"{label}: {listing(known)}" if known else ""


def listing(names: Iterable[str], most: int = 20) -> str:
    """``a, b, c`` with at most ``most`` names.

    Example:
        >>> listing("abc", most=2)
        'a, b and 1 more'
    """
    items = list(names)
    tail = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + tail


def told_apart(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, all different and none of ``taken``: the second of two is numbered.

    Example:
        >>> told_apart(["ials", "ials", "sft"], taken=["sft"])
        ['ials', 'ials-2', 'sft-2']
    """
    used, found = set(taken), []
    for name in names:
        numbered = (f"{name}-{n}" if n > 1 else name for n in itertools.count(1))
        found.append(next(one for one in numbered if one not in used))
        used.add(found[-1])
    return found
