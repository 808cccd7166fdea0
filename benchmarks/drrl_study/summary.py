"""From figures of each user and seed to lines of a table. Knows arrays; knows no cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polo.evaluate.significance import interval, paired

#: resamples of an interval
RESAMPLES = 2000


def table_line(seeds: Sequence[Mapping[str, Any]], figures: Sequence[str]) -> dict[str, Any]:
    """For each figure its mean over seeds and users, a 95 % interval over users, and the mean of each seed.

    Users are drawn again for the interval, with a user's figure averaged over the seeds; how far seeds differ is told
    apart from it.
    """
    found: dict[str, Any] = {}
    for name in figures:
        mean, low, high = interval(_mean(seeds, name), seeds[0]["users"], RESAMPLES)
        found[name] = {"mean": mean, "low": low, "high": high, "seeds": [float(one[name].mean()) for one in seeds]}
    return found


def noise_line(clean: Sequence[Mapping[str, Any]], dirty: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What false negatives take away: the mean, and the difference to training without them with its interval."""
    lost = paired(_mean(dirty, name), _mean(clean, name), clean[0]["users"], RESAMPLES)
    before, after = (float(_mean(some, name).mean()) for some in (clean, dirty))
    return {
        "mean": after, "change": lost.difference, "low": lost.low, "high": lost.high,
        "share_kept": after / before if before else None,
    }  # fmt: skip


def _mean(seeds: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.mean([one[name] for one in seeds], axis=0)
