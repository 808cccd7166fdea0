"""Faults of the candidate lists themselves: negatives that the user did consume, and lists that are not as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import chisquare

from polo import Audited, Context, Finding, Known, Rows
from polo_audits.figures import percent

BoolArray = npt.NDArray[np.bool_]

#: share of rows from which on false negatives are worth a warning: a hundredth of the rows, a point of hit ratio
_TOLERATED: Final = 0.01
#: p-value below which the target's place is not uniform; small, because one run in 1/p is blamed for nothing
_LEVEL: Final = 1e-5
#: expected rows at each place that the chi-square test wants (Cochran 1954, doi 10.2307/3001666)
_EXPECTED: Final = 5


class FalseNegatives:
    """Share of rows with a negative that the same user consumed elsewhere, by split, in both kinds of lists.

    Held-out rows are judged by all splits. Training rows with drawn lists are judged by the training split alone:
    avoiding a user's held-out items there would give them away.
    """

    needs = frozenset({"items", "lists"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        splits = audited.splits
        drawn, file = {}, {}
        for name, rows in audited.lists.items():
            training_only = name == "train" and audited.negatives == "uniform"
            drawn[name] = _share(rows, splits.known_train if training_only else splits.known_all)
        for name, rows in audited.file_lists.items():
            file[name] = _share(rows, splits.known_all)
        own, given = max(drawn.values(), default=0.0), max(file.values(), default=0.0)
        meaning = f"rows with a negative that the user consumed: {_by_split(drawn)} with the recipe's lists"
        if file and audited.negatives == "uniform":
            meaning += f"; {_by_split(file)} with the lists in the file"
        meaning = meaning[0].upper() + meaning[1:] + "."
        if max(own, given) <= _TOLERATED:
            return Finding(max(own, given), "ok", meaning)
        fix = (
            "set candidates.negatives to uniform, which avoids what the user is known to have consumed"
            if own > _TOLERATED
            else "leave candidates.negatives at uniform, as this recipe does; numbers on the file's lists blame models "
            "for items that the user did choose"
        )
        return Finding(max(own, given), "warn", meaning, fix)


class Candidates:
    """Whether each list holds the target once, no item twice, as many as declared, and the target at any place."""

    needs = frozenset({"items", "lists"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        faults: list[str] = []
        worst = 0.0
        both: list[tuple[str, Mapping[str, Rows]]] = [("", audited.lists)]
        if audited.negatives == "uniform":
            both.append((" of the file", audited.file_lists))
        for whose, lists in both:
            for name, rows in lists.items():
                share, words = _list_faults(rows, audited.n if not whose else None)
                worst = max(worst, share)
                faults += [f"{name} lists{whose}: {word}" for word in words]
        used = any(" of the file:" not in fault for fault in faults)
        if not faults:
            meaning = (
                "Every list holds the target exactly once and no item twice, and the target is at any place alike."
            )
            return Finding(0.0, "ok", meaning)
        return Finding(
            worst,
            "fail" if used else "warn",
            "; ".join(faults) + ".",
            "mend the lists" if audited.negatives == "file" and used else "use candidates.negatives: uniform",
        )


def _share(rows: Rows, known: Known) -> float:
    assert rows.candidates is not None
    consumed = known.has(rows.user, rows.candidates)
    return float((consumed & (rows.candidates != rows.target[:, None])).any(axis=1).mean()) if len(rows) else 0.0


def _by_split(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{percent(share)} of {name}" for name, share in shares.items())


def _list_faults(rows: Rows, declared: int | None) -> tuple[float, list[str]]:
    """Share of rows that are not as they should be, and what is wrong."""
    assert rows.candidates is not None
    n = rows.candidates.shape[1]
    if not len(rows):
        return 0.0, []
    words = []
    times = (rows.candidates == rows.target[:, None]).sum(axis=1)
    in_order = np.sort(rows.candidates, axis=1)
    twice: BoolArray = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    wrong: BoolArray = times != 1
    share = float((wrong | twice).mean())
    if wrong.any():
        words.append(f"{percent(float(wrong.mean()))} of the rows do not hold the target exactly once")
    if twice.any():
        words.append(f"{percent(float(twice.mean()))} of the rows hold an item twice")
    if declared is not None and n != declared:
        share = 1.0
        words.append(f"{n} candidates, {declared} are declared")
    p = place_p_value(rows)
    if p < _LEVEL:
        words.append(f"the target is not at any place alike (chi-square p = {p:.1e})")
    return max(share, float(p < _LEVEL)), words


def place_p_value(rows: Rows) -> float:
    """p-value of "the target stands at each place equally often", one row for each target; 1 with too few rows.

    Rows with one target may share a place by construction (lists seeded by the target): they are one observation.
    """
    assert rows.candidates is not None
    _, first = np.unique(rows.target, return_index=True)
    place = (rows.candidates[first] == rows.target[first, None]).argmax(axis=1)
    n = rows.candidates.shape[1]
    if len(first) < _EXPECTED * n:
        return 1.0
    return float(chisquare(np.bincount(place, minlength=n)).pvalue)
