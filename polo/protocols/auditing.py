"""Checks of data and protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from polo.data import IntArray, Rows, Splits


@dataclass(frozen=True)
class Limited:
    """What becomes of a split's rows under a policy's token limit.

    Args:
        rows: how many there are.
        left_out: how many do not fit.
        cut: how many fit because the beginning of their prompt was cut off.
    """

    rows: int
    left_out: int
    cut: int


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What an audit looks at: the data, and the candidate lists that a number will be measured on.

    Args:
        splits: the data set.
        split: the split that is evaluated.
        lists: split name -> its rows (``train`` may be a sample of very large data) with the recipe's candidate lists;
            empty where the whole catalogue is ranked.
        file_lists: split name -> its rows with the lists that the data source read; empty where it read none.
        negatives: whether the recipe draws its lists (``uniform``) or takes those of the file.
        n: declared length of a list; ``None`` where the whole catalogue is ranked.
        title_tokens: int64 ``[n_items]`` tokens of each title with its end token, where a text policy is at hand.
        looked_at: in words, which users are in ``splits`` if not all are: a sample of data that lie on the disk.
        limited: split name -> what becomes of its rows, where answers belong to their rows and a policy is at hand.
    """

    splits: Splits
    split: Literal["valid", "test"]
    lists: Mapping[str, Rows]
    file_lists: Mapping[str, Rows]
    negatives: Literal["uniform", "file"]
    n: int | None
    title_tokens: IntArray | None = None
    looked_at: str = ""
    limited: Mapping[str, Limited] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What an audit found.

    Args:
        figure: the number that was judged, ``None`` where there is nothing to measure.
        verdict: ``ok``; ``warn`` (know this before you read a number); ``fail`` (it does not mean what it says).
        meaning: one sentence with the figures in it.
        fix: what to do about it; empty if there is nothing to do.
    """

    figure: float | None
    verdict: Literal["ok", "warn", "fail"]
    meaning: str
    fix: str = ""


@runtime_checkable
class Audit(Protocol):
    """A check of data and protocol, before any model is trained."""

    def check(self, audited: Audited) -> Finding:
        """Must be quick (seconds on 100k rows) and must not depend on anything but ``audited`` and the seed."""


@runtime_checkable
class OfLists(Protocol):
    """An audit that says what it looks at; one without is called for every recipe."""

    #: ``lists``: the recipe's candidate lists, so that there is nothing to look at where the whole catalogue is ranked;
    #: ``items``: items that any row may have, so that it is left out where answers belong to their rows
    needs: frozenset[str]
