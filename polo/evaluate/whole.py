"""Rankings of the whole catalogue, block by block: nothing of size rows x items is ever held.

A block is a few rows with the scores of every item. Its metrics are worked out as those of candidate lists are, and
what is kept of it does not grow with the catalogue: each row's values, the place of its target, its best items. Knows
blocks and tables; who scores is the business of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch

from polo.best import best_columns
from polo.data import FloatArray, IntArray, Rows
from polo.evaluate.metrics import System, per_row, totals
from polo.protocols import Evaluator, Totals

#: scores of a block; bounds memory, never the result
ENTRIES: Final = 1 << 21
#: best items that are kept of each row
TOP: Final = 100

#: scores ``[b, n]`` of the lists of b rows, and how many tokens each ran over (``None``: no sums of log-probabilities)
Score = Callable[[Rows], tuple[FloatArray, IntArray | None]]


def blocks(rows: Rows) -> Iterator[Rows]:
    """Rows with a list of all items each, as many at a time as :data:`ENTRIES` allows."""
    if rows.whole is None:
        raise ValueError("blocks are of rows for which the whole catalogue is ranked")
    step = max(1, ENTRIES // max(1, rows.whole.n_items))
    for start in range(0, len(rows), step):
        yield rows[start : start + step].spread_out()


def measure(rows: Rows, evaluators: Sequence[Evaluator], score: Score) -> pa.Table:
    """A line per row with all that is kept of one system; see :class:`Kept` for the columns.

    Args:
        rows: N rows for which the whole catalogue is ranked.
        evaluators: none that needs ``reference`` or ``generation``.
        score: called for one block after the other.
    """
    return pa.concat_tables([_packed(_measured(block, evaluators, *score(block))) for block in blocks(rows)])


def _packed(table: pa.Table) -> pa.Table:
    """The same in memory of Arrow's own.

    As arrays, what is kept of a block would lie in the middle of what its scores took and gave back, so that the
    scores of the next block find no room there: memory would grow by a block with each.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def _measured(block: Rows, evaluators: Sequence[Evaluator], scores: FloatArray, tokens: IntArray | None) -> pa.Table:
    system = System("", scores, tokens)
    rankings = system.rankings(block)
    ranked = rankings[""]
    at = np.arange(len(block))
    items, best = top(ranked.scores, TOP)
    held = np.minimum(ranked.length, items.shape[1])
    columns: dict[str, Any] = {
        "score": scores[at, ranked.truth],
        "above": ranked.above,
        "tied": ranked.tied,
        "ranked": ranked.length,
        "log_total": _log_total(ranked.scores, best[:, :1]),
        "items": [row[:n].astype(np.int32) for row, n in zip(items, held, strict=True)],
        "scores": [row[:n] for row, n in zip(best, held, strict=True)],
    }
    if tokens is not None:
        columns["tokens"] = tokens[at, ranked.truth].astype(np.int16)
    columns |= {f"value {name}": column for name, column in per_row(rankings, system, evaluators).items()}
    for key, total in totals(rankings, system, evaluators).items():
        # sums over the block stand in its first line
        columns[f"sum {key}"] = [total, *[np.empty(0)] * (len(block) - 1)]
    return pa.table(columns)


def top(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best columns of each row, best first, equal scores by column; all columns if there are no more than k.

    Example:
        >>> top(np.array([[1.0, 3.0, 1.0, 3.0]]), 3)[0].tolist()
        [[1, 3, 0]]
    """
    columns, values = best_columns(torch.from_numpy(scores), k)
    return columns.numpy(), values.numpy()


def _log_total(scores: FloatArray, highest: FloatArray) -> FloatArray:
    """``[N]`` log of the sum of exp of each row, whose highest score ``[N, 1]`` is known."""
    shares = scores - highest
    total: FloatArray = highest[:, 0] + np.log(np.exp(shares, out=shares).sum(axis=1))
    return total


class Kept:
    """What is kept of one system that ranked the whole catalogue: as :class:`System`, but without the scores.

    Args:
        name: of the system.
        table: a line per row. ``score``, ``above``, ``tied`` of the target (how many items score higher, how many
            others the same), ``ranked`` (how many items in all), ``log_total`` (log of the sum of exp of all scores),
            ``items`` and ``scores`` (the best :data:`TOP`), ``tokens`` (of the target's title), values and sums.
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
        """Items of one row, best first, and each one's share of exp(score) among all that are ranked."""
        items, scores = (np.asarray(self._table[name][row].as_py()) for name in ("items", "scores"))
        return items, np.exp(scores - self._table["log_total"][row].as_py())

    def columns(self, rows: Rows) -> dict[str, Any]:
        """What its Parquet file holds of each row."""
        kept = [name for name in self._table.column_names if not name.startswith(("value ", "sum "))]
        return {name: self._table[name] for name in kept}

    def _column(self, name: str) -> Any:
        return self._table[name].to_numpy()
