"""What several audits compute: hits at 1, differences clustered by user, samples of rows. Knows no fault by name."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from polo import Audited, FloatArray, Ranked, RowRandom, Rows

#: evaluated rows that an audit looks at; 2,000 rows give a share of 0.5 within +-0.02 (95 %, binomial)
SAMPLE: Final = 2000


def sample(rows: Rows, n: int = SAMPLE) -> Rows:
    """``n`` of the rows, the same ones each time, in their order; all of them if there are no more."""
    if len(rows) <= n:
        return rows
    keys = RowRandom("audit sample").uniform(rows.id, 1)[:, 0]
    return rows[np.sort(np.argsort(keys, kind="stable")[:n])]


def evaluated(audited: Audited) -> Rows:
    """The rows that a number will be measured on, with the recipe's lists."""
    return audited.lists[audited.split]


def hits(rows: Rows, scores: FloatArray) -> FloatArray:
    """``[N]`` hit ratio at 1 of each row, a tie of t items at the top counting 1/t."""
    ranked = Ranked.of(rows, scores)
    return np.where(ranked.above == 0, 1.0 / (ranked.tied + 1), 0.0)


def standard_errors(difference: FloatArray, users: npt.NDArray[np.int64]) -> float:
    """How many standard errors, clustered by user, the mean of ``difference`` lies above 0.

    Example:
        >>> import numpy as np
        >>> standard_errors(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 1, 2, 3])) > 1
        True
    """
    _, index = np.unique(users, return_inverse=True)
    mean = difference.mean()
    residual = np.bincount(index, difference - mean)
    error = float(np.sqrt((residual**2).sum())) / len(difference)
    return float(mean / error) if error > 0 else (np.inf if mean > 0 else 0.0)


def percent(share: float) -> str:
    """``58.1 %``."""
    return f"{100 * share:.1f} %"
