"""Metrics of slices of the evaluated rows: by popularity of the target, length of the history, length of the title.

Knows rows and values of rows. A slice tells where a mean comes from; it is no test of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from polo.data import PAD, FloatArray, IntArray, Rows, Splits
from polo.evaluate.metrics import Outcome

#: bins that rows are sorted into by each key, at most
BINS: Final = 10
#: bins by the length of the title, which has few values
TITLE_BINS: Final = 4


def bins(key: IntArray, count: int) -> list[tuple[str, IntArray]]:
    """Rows sorted into at most ``count`` bins of about the same size by a key; equal keys stay together.

    Returns:
        For each bin its range (``"3"`` or ``"4-9"``) and the indices of its rows, in the order of the key.

    Example:
        >>> import numpy as np
        >>> [(label, rows.tolist()) for label, rows in bins(np.array([5, 1, 1, 9]), 2)]
        [('1', [1, 2]), ('5-9', [0, 3])]
    """
    if not len(key):
        return []
    edges = np.unique(np.quantile(key, np.linspace(0, 1, count + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, key, side="left")
    found = []
    for number in range(len(edges) + 1):
        index = np.flatnonzero(place == number)
        if len(index):
            low, high = int(key[index].min()), int(key[index].max())
            found.append((str(low) if low == high else f"{low}-{high}", index))
    return found


def keys(rows: Rows, splits: Splits, tokens: IntArray | None) -> dict[str, list[tuple[str, IntArray]]]:
    """The three ways of cutting, by name."""
    counts = np.bincount(splits.sequences.items, minlength=len(splits.items))
    cut = {
        "target's count in training": bins(counts[rows.target], BINS),
        "shown items": bins((rows.history != PAD).sum(axis=1), BINS),
    }
    if tokens is not None:
        cut["tokens of the title"] = bins(tokens, TITLE_BINS)
    else:
        lengths = np.array([len(title) for title in splits.items.titles])
        cut["characters of the title"] = bins(lengths[rows.target], TITLE_BINS)
    return cut


def sliced(
    rows: Rows, splits: Splits, systems: Sequence[Outcome], values: Mapping[str, Mapping[str, FloatArray]]
) -> dict[str, Any]:
    """Slice name -> list of bins: ``label``, ``rows``, and ``systems`` (system -> metric -> mean over the bin).

    Nothing for rows whose texts are their own.
    """
    if splits.own is not None:  # no catalogue to count in, no history to measure
        return {}
    tokens = next((found for system in systems if (found := system.target_tokens(rows)) is not None), None)
    return {
        name: [
            {
                "label": label,
                "rows": len(index),
                "systems": {
                    system.name: {metric: float(column[index].mean()) for metric, column in values[system.name].items()}
                    for system in systems
                },
            }
            for label, index in cut
        ]
        for name, cut in keys(rows, splits, tokens).items()
    }
