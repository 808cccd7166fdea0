"""The few rows that the start-up checks look at. Knows rows and titles; knows no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from polo import PAD, BoolArray, Rows, Splits
from polo_causal_lm.own_texts import RowTexts
from polo_causal_lm.text import Encoded, Texts

#: rows among which long ones are looked for, and titles of a row without a list
_LOOKED_AT, _TITLES = 64, 20


def few_rows(
    splits: Splits, texts: Texts | RowTexts, pool: Literal["candidates", "catalogue"], fits: Callable[[Rows], BoolArray]
) -> Encoded | None:
    """Two rows with much history that fit, each with as many items as its list has (else 20), long ones; or none."""
    rows = splits.train if len(splits.train) else splits.test
    if isinstance(texts, RowTexts):  # the longest that fit, each with its own answers
        rows = rows[np.flatnonzero(fits(rows))]
        prompts = np.array([len(ids) for ids in texts.prompts(rows)], dtype=np.int64)
        rows = rows[np.argsort(-prompts, kind="stable")[:2]]
        return texts.encode(rows, rows.listed[:, :_TITLES]) if len(rows) else None
    rows = rows[np.argsort(-(rows.history != PAD).sum(axis=1), kind="stable")[:_LOOKED_AT]]
    n = min(_TITLES if rows.candidates is None else rows.candidates.shape[1], len(splits.items))
    longest = np.argsort(-texts.title_lengths, kind="stable")[:n]
    items = np.array([[t, *longest[longest != t][: n - 1]] for t in rows.target], dtype=np.int64)
    if pool == "candidates" and rows.candidates is None and len(rows):
        rows = rows.with_candidates(items)
    fitting = np.flatnonzero(fits(rows))[:2] if len(rows) else np.empty(0, np.int64)
    return texts.encode(rows[fitting], items[fitting]) if len(fitting) else None
