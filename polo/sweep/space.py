"""What a sweep may set: words such as ``stages.prefer.lr=log(1e-5,1e-3)`` and ``stages.prefer.loss=a,b``.

Knows ranges and choices as text; knows no recipe and no library that searches.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from polo.errors import InputError
from polo.recipe.dump import flow

_RANGE = re.compile(r"(log|uniform|int)\(([^()]*)\)")
#: what trials are compared under, and what names and files them: no sweep may choose it
_KEPT: Final = ("seed", "name", "out", "evaluate", "candidates", "trackers", "plugins", "requires", "polo")
_HOW: Final = "write PATH=log(1e-5,1e-3), PATH=uniform(0,1), PATH=int(1,8), or choices: PATH=a,b"


@dataclass(frozen=True)
class Dimension:
    """One setting of a sweep.

    Args:
        path: dotted path into the recipe.
        choices: values as the recipe writes them; empty for a range.
        low, high: ends of a range, both in it.
        log: equal factors are equally far; ``whole``: whole numbers.
    """

    path: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def ends(self) -> tuple[str, ...]:
        """Override words that try every choice, or the ends of the range."""
        return tuple(self.override(value) for value in (self.choices or (self.low, self.high)))

    def override(self, value: str | float) -> str:
        """A value as an override, six digits of it.

        Example:
            >>> Dimension("lr", low=1e-5, high=1e-3).override(2e-5), Dimension("k", whole=True).override(3.0)
            ('lr=2e-05', 'k=3')
        """
        word = value if isinstance(value, str) else flow(round(value) if self.whole else float(f"{value:.6g}"))
        return f"{self.path}={word}"


def space_of(words: Sequence[str]) -> list[Dimension]:
    """The dimensions that words of ``--set`` name.

    A third number of a range, as in ``log(1e-5,1e-3,5)``, makes so many choices of it, equally far apart.

    Raises:
        InputError: a word is none, or sets what trials are compared under.

    Example:
        >>> space_of(["lr=log(1e-4,1e-2,3)", "loss=a,{use: b, k: 3}"])[0].choices
        ('0.0001', '0.001', '0.01')
        >>> space_of(["loss=a,{use: b, k: 3}"])[0].choices
        ('a', '{use: b, k: 3}')
    """
    found: dict[str, Dimension] = {}
    for word in words:
        path, equals, text = (part.strip() for part in word.partition("="))
        where = f"--set {word!r}"
        if not equals or not path or not text:
            raise InputError("no path and values", where=where, fix=_HOW)
        if path in found:
            raise InputError(f"{path} is set twice", where=where, fix="give all its values in one --set")
        if path.split(".")[0] in _KEPT:
            raise InputError(f"a sweep cannot choose {path}: trials are compared under it, or filed by it", where=where,
                             fix="give it as an override of all trials: KEY.SUB=VALUE")  # fmt: skip
        match = _RANGE.fullmatch(text)
        found[path] = _choices(path, text, where) if match is None else _range(path, match[1], match[2], where)
    if not found:
        raise InputError("a sweep needs something to choose", where="--set", fix=_HOW)
    return list(found.values())


def grid(space: Sequence[Dimension]) -> list[dict[str, str]]:
    """All combinations of choices, the last dimension changing fastest.

    Raises:
        InputError: a dimension is a range.
    """
    for one in space:
        if not one.choices:
            raise InputError(f"a grid needs choices, and {one.path} is a range", where="--set",
                             fix="say how many of it: log(1e-5,1e-3,5)")  # fmt: skip
    every = itertools.product(*(one.choices for one in space))
    return [dict(zip([one.path for one in space], values, strict=True)) for values in every]


def _choices(path: str, text: str, where: str) -> Dimension:
    choices = tuple(dict.fromkeys(part.strip() for part in _split(text)))
    if not all(choices):
        raise InputError("an empty choice", where=where, fix=_HOW)
    return Dimension(path, choices)


def _range(path: str, kind: str, inside: str, where: str) -> Dimension:
    try:
        low, high, *more = (float(part) for part in inside.split(","))
    except ValueError:
        raise InputError(f"{kind}({inside}) has not two numbers", where=where, fix=_HOW) from None
    points = more[0] if more else None
    if not -math.inf < low < high < math.inf or (kind == "log" and low <= 0) or len(more) > 1:
        raise InputError(f"{kind}({inside}) is no range from low to high", where=where, fix=_HOW)
    if kind == "int" and not (low.is_integer() and high.is_integer()):
        raise InputError(f"int({inside}) has ends that are not whole", where=where, fix=_HOW)
    made = Dimension(path, (), low, high, kind == "log", kind == "int")
    if points is None:
        return made
    if not points.is_integer() or not 2 <= points <= 1000:
        raise InputError(f"{points:g} is no number of points", where=where, fix="give a whole number from 2 to 1000")
    a, b = (math.log(low), math.log(high)) if made.log else (low, high)
    values = [a + (b - a) * i / (points - 1) for i in range(int(points))]
    values = [low, *(math.exp(v) if made.log else v for v in values[1:-1]), high]
    spelled = [made.override(v).partition("=")[2] for v in values]
    return Dimension(path, tuple(dict.fromkeys(spelled)))


def _split(text: str) -> list[str]:
    """At commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += 0 if quote else (letter in "[{(") - (letter in ")}]")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
