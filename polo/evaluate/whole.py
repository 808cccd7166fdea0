"""Rankings of the whole catalogue, block by block: nothing of size rows x items is ever held.

A block is a few rows with the scores of every item. Its metrics are worked out as those of candidate lists are, and
what is kept of it does not grow with the catalogue: each row's values, the place of its target, its best items. Knows
blocks and tables; who scores is the business of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch

from polo.best import best_columns
from polo.data import FloatArray, IntArray, Rows
from polo.evaluate.metrics import System, per_row, totals
from polo.protocols import Evaluator, Every, Numbers, Totals

#: scores of a block; bounds memory, never the result
ENTRIES: Final = 1 << 21
#: best items that are kept of each row
TOP: Final = 100


def blocks(rows: Rows) -> Iterator[Rows]:
    """Rows with a list of all items each, as many at a time as :data:`ENTRIES` allows."""
    if rows.whole is None:
        raise ValueError("blocks are of rows for which the whole catalogue is ranked")
    step = max(1, ENTRIES // max(1, rows.whole.n_items))
    for start in range(0, len(rows), step):
        yield rows[start : start + step].spread_out()


def measure(rows: Rows, evaluators: Sequence[Evaluator], score: Every) -> pa.Table:
    """A line per row with all that is kept of one system; see :class:`Kept` for the columns.

    Args:
        rows: N rows for which the whole catalogue is ranked.
        evaluators: none that needs ``reference`` or ``generation``.
        score: called for one block after the other; what it gives is written to.
    """
    order = np.arange(len(rows))
    if rows.relevant is not None:
        # rows with equally many relevant items stand together, so that those of a block are compared together
        order = np.argsort(rows.relevant.lengths, kind="stable")
        rows = rows[order]
    keeping, done = Keeping(len(rows)), 0
    for block in blocks(rows):
        _measured(block, evaluators, *score(block), keeping, order[done : done + len(block)])
        done += len(block)
    return keeping.table()


class Keeping:
    """What is kept of N rows, in arrays that are there from the first block on.

    Made block by block, they would lie in the middle of what a block's scores took and gave back, so that the scores of
    the next block find no room there: memory would grow by a block with each.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._columns: dict[str, Any] = {}
        self._sums: dict[str, FloatArray] = {}

    def put(self, at: IntArray, name: str, values: Any) -> None:
        """Values of the rows at ``at``: a number for each, or a line for each."""
        if name not in self._columns:
            self._columns[name] = np.empty((self._count, *values.shape[1:]), values.dtype)
        self._columns[name][at] = values

    def add(self, name: str, total: FloatArray) -> None:
        """Something that adds up over blocks."""
        self._sums[name] = self._sums[name] + total if name in self._sums else total

    def table(self) -> pa.Table:
        """A line per row; sums over all rows stand in the first one."""
        columns = dict(self._columns)
        for name in ("items", "scores"):
            if name in columns:
                columns[name] = _lists(columns[name], np.minimum(columns["ranked"], columns[name].shape[1]))
        for name, total in self._sums.items():
            ends = np.full(self._count + 1, len(total), np.int32)
            ends[0] = 0
            columns[name] = pa.ListArray.from_arrays(ends, total)
        return pa.table(columns)


def _measured(
    block: Rows,
    evaluators: Sequence[Evaluator],
    scores: Numbers,
    tokens: IntArray | None,
    keeping: Keeping,
    at: IntArray,
) -> None:
    """Keeps what there is to keep of a block whose rows stand ``at`` these places."""
    system = System("", scores, tokens, free=True)
    rankings = system.rankings(block)
    ranked, line = rankings[""], np.arange(len(block))
    items, best = top(ranked.scores, TOP)
    keeping.put(at, "score", scores[line, ranked.truth].astype(np.float64))
    keeping.put(at, "above", ranked.above)
    keeping.put(at, "tied", ranked.tied)
    keeping.put(at, "ranked", ranked.length)
    keeping.put(at, "log_total", _log_total(ranked.scores, best[:, :1]))
    keeping.put(at, "items", items.astype(np.int32))
    keeping.put(at, "scores", best.astype(np.float64))
    if tokens is not None:
        keeping.put(at, "tokens", tokens[line, ranked.truth].astype(np.int16))
    for name, column in per_row(rankings, system, evaluators).items():
        keeping.put(at, f"value {name}", column)
    for key, total in totals(rankings, system, evaluators).items():
        keeping.add(f"sum {key}", total)


def _lists(table: Any, lengths: IntArray) -> pa.ListArray:
    """The beginning of each line of ``[N, m]``, as many as its length."""
    held = np.arange(table.shape[1]) < lengths[:, None]
    flat = table.reshape(-1) if held.all() else table[held]
    return pa.ListArray.from_arrays(np.append(0, np.cumsum(lengths)).astype(np.int32), flat)


def top(scores: Numbers, k: int) -> tuple[IntArray, Numbers]:
    """The k best columns of each row, best first, equal scores by column; all columns if there are no more than k.

    Example:
        >>> top(np.array([[1.0, 3.0, 1.0, 3.0]]), 3)[0].tolist()
        [[1, 3, 0]]
    """
    columns, values = best_columns(torch.from_numpy(scores), k)
    return columns.numpy(), values.numpy()


def _log_total(scores: Numbers, highest: Numbers) -> FloatArray:
    """``[N]`` log of the sum of exp of each row, whose highest score ``[N, 1]`` is known; in the scores' own type."""
    shares = torch.from_numpy(scores) - torch.from_numpy(highest)
    total: FloatArray = highest[:, 0].astype(np.float64) + shares.exp_().sum(dim=1).double().log().numpy()
    return total


class Kept:
    """What is kept of one system that ranked the whole catalogue: as :class:`System`, but without the scores.

    Args:
        name: of the system.
        table: a line per row. ``score``, ``above``, ``tied`` of the target (how many items score higher, how many
            others the same), ``ranked`` (how many items in all), ``log_total`` (log of the sum of exp of all scores),
            ``items`` and ``scores`` (the best :data:`TOP`), ``tokens`` (of the target's title), values and sums. Where
            not all were scored (``polo.evaluate.found``) there is ``exact`` in place of ``log_total``.
    """

    def __init__(self, name: str, table: pa.Table) -> None:
        self.name, self._table = name, table

    def values(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, FloatArray]:
        """Metric name -> value of each row."""
        names = [name for name in self._table.column_names if name.startswith("value ")]
        return {name.removeprefix("value "): self._column(name).astype(np.float64) for name in names}

    def figures(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, float]:
        """Metrics that are no means over rows, by name."""
        found: dict[str, float] = {}
        for (index, suffix, name), total in self._sums().items():
            evaluator = evaluators[int(index)]
            assert isinstance(evaluator, Totals)
            found |= {key + suffix: float(value) for key, value in evaluator.figures({name: total}).items()}
        return found

    def _sums(self) -> Mapping[tuple[str, str, str], FloatArray]:
        """(number of the evaluator, suffix, name) -> sum over all rows."""
        found: dict[tuple[str, str, str], FloatArray] = {}
        for column in [name for name in self._table.column_names if name.startswith("sum ")]:
            _, index, suffix, name = column.split(" ", 3)
            held = [one for one in self._table[column].to_numpy() if len(one)]
            found[index, suffix, name] = np.sum(held, axis=0)
        return found

    def places(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """How many items score higher than the target, and how many others the same: ``[N]`` each."""
        return self._column("above"), self._column("tied")

    def target_tokens(self, rows: Rows) -> IntArray | None:
        """``[N]`` tokens of the target's title, where scores are sums over tokens."""
        return self._column("tokens").astype(np.int64) if "tokens" in self._table.column_names else None

    def best(self, rows: Rows, row: int) -> tuple[IntArray, FloatArray]:
        """Items of one row, best first, and each one's share of exp(score) among all that are ranked.

        Where not all were scored it is exp(score): a title's probability among all texts.
        """
        items, scores = (np.asarray(self._table[name][row].as_py()) for name in ("items", "scores"))
        total = self._table["log_total"][row].as_py() if "log_total" in self._table.column_names else 0.0
        return items, np.exp(scores - total)

    def columns(self, rows: Rows) -> dict[str, Any]:
        """What its Parquet file holds of each row."""
        kept = [name for name in self._table.column_names if not name.startswith(("value ", "sum "))]
        return {name: self._table[name] for name in kept}

    def _column(self, name: str) -> Any:
        return self._table[name].to_numpy()
