"""Faults of answers that belong to their rows: length that gives them away, texts that are cut or end too early.

Knows characters; tokens only as far as a policy has said which rows it leaves out or cuts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from polo import PAD, Audited, BoolArray, Context, Finding, FloatArray, IntArray, Rows, Splits
from polo_audits.figures import percent, standard_errors

#: accuracy of length alone from which on a number means little without a control for length
_TELLING: Final = 0.6
#: share of rows that a policy leaves out or cuts, from which on to say so
_LOST: Final = 0.01
#: by how much the shares of answers without an end may differ between chosen and rejected
_UNLIKE: Final = 0.1
#: how a finished text ends: a closing mark, perhaps in quotes, brackets, or code fences
_END: Final = re.compile(r"""[.!?…。！？:;)\]}>|*`'"»”’~\-]$|</s>$""")


class OwnAnswers:
    """An audit for data whose answers belong to their rows alone."""

    def __init__(self, options: None, context: Context) -> None: ...

    def applies(self, splits: Splits) -> bool:
        return splits.own is not None


class Lengths(OwnAnswers):
    """How often the chosen answer is the longer one, and how far that predicts the evaluated pairs.

    The rule "the longer (or the shorter) answer is the better one" is chosen on the training pairs and measured on the
    evaluated ones, equal lengths counting one half. Length is in characters.
    """

    def check(self, audited: Audited) -> Finding:
        splits = audited.splits
        size = np.array([len(title) for title in splits.items.titles], np.int64)
        train, measured = splits.train, getattr(splits, audited.split)
        longer, _ = longer_chosen(train, size)
        held, users = longer_chosen(measured, size)
        if not len(longer) or not len(held):
            return Finding(None, "ok", "No pairs of answers, so that no length gives one away.")
        up = longer.mean() >= 0.5
        right = held if up else 1 - held
        word, accuracy = "longer" if up else "shorter", float(right.mean())
        errors = standard_errors(right - 0.5, users)
        meaning = (
            f"The chosen answer is the longer one in {percent(float(longer.mean()))} of the training pairs and in "
            f"{percent(float(held.mean()))} of the {audited.split} pairs; preferring the {word} answer is right in "
            f"{percent(accuracy)} of the latter."
        )
        if accuracy >= _TELLING and errors > 2:
            return Finding(accuracy, "warn", meaning, "measure with length_controlled, beside the baseline length")
        return Finding(accuracy, "ok", meaning)


class Truncation(OwnAnswers):
    """Rows that the policy leaves out or cuts, and answers that end without a closing mark, as cut texts do."""

    def check(self, audited: Audited) -> Finding:
        titles, said, lost = audited.splits.items.titles, [], 0.0
        for name, one in audited.limited.items():
            share = (one.left_out + one.cut) / max(1, one.rows)
            lost = max(lost, share)
            if share:
                said.append(f"of {one.rows:,} {name} rows {one.left_out:,} are too long and left out, and {one.cut:,} "
                            "lose the beginning of their prompt")  # fmt: skip
        chosen, rejected = _answers(audited.splits)
        open_ = [_unfinished([titles[i] for i in some.tolist()]) for some in (chosen, rejected)]
        said.append(f"{percent(open_[0])} of the chosen and {percent(open_[1])} of the rejected answers end without a "
                    "closing mark")  # fmt: skip
        meaning = "; ".join(said)
        meaning = meaning[0].upper() + meaning[1:] + "."
        apart = abs(open_[0] - open_[1]) if len(rejected) else 0.0
        if lost > _LOST:
            return Finding(lost, "warn", meaning, "raise policy.max_tokens, or say beside a number what was left out")
        if apart > _UNLIKE:
            return Finding(apart, "warn", meaning,
                           "look at how answers end: a model may learn that alone")  # fmt: skip
        return Finding(max(lost, apart), "ok", meaning)


def longer_chosen(rows: Rows, size: IntArray) -> tuple[FloatArray, IntArray]:
    """Of each pair of a chosen and a rejected answer whether the chosen one is longer (1/2: equal), and its prompt.

    Args:
        rows: with lists of their own.
        size: ``[answers]`` the length of each.
    """
    if rows.candidates is None:
        return np.empty(0), np.empty(0, np.int64)
    others = rejected_places(rows)
    at, column = np.nonzero(others)
    mine, other = size[rows.target[at]], size[rows.candidates[at, column]]
    longer: FloatArray = (mine > other) + 0.5 * (mine == other)
    return longer, rows.user[at]


def rejected_places(rows: Rows) -> BoolArray:
    """``[N, n]`` places of the lists at which a rejected answer stands."""
    assert rows.candidates is not None
    found: BoolArray = (rows.candidates != PAD) & (rows.candidates != rows.target[:, None])
    return found


def _answers(splits: Splits) -> tuple[IntArray, IntArray]:
    """Chosen and rejected answers of all splits."""
    parts = [splits.train, splits.valid, splits.test]
    rejected = [rows.candidates[rejected_places(rows)] for rows in parts if rows.candidates is not None]
    return np.concatenate([rows.target for rows in parts]), np.concatenate([np.empty(0, np.int64), *rejected])


def _unfinished(texts: Sequence[str]) -> float:
    """Share of texts without a closing mark at their end.

    Example:
        >>> _unfinished(["Yes.", "It is", "(so)", "and then the"])
        0.5
    """
    return sum(_END.search(text.rstrip()) is None for text in texts) / max(1, len(texts))
