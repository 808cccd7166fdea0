"""A finished run as a baseline: its scores are read, nothing is computed. Knows the files of an evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from polo import Context, FloatArray, InputError, IntArray, Rows, Splits
from polo_baselines.options import RunOptions


class FinishedRun:
    """The scores that another run gave to the same rows and the same candidate lists.

    Attributes:
        label: how it is called in results.
    """

    def __init__(self, options: RunOptions, context: Context) -> None:
        folder = Path(options.path).expanduser()
        self._file = folder / "eval" / f"scores-{options.system}.parquet"
        self.label = options.label or folder.resolve().name
        # looked at before anything is trained
        if not self._file.is_file():
            have = sorted(p.stem.removeprefix("scores-") for p in (folder / "eval").glob("scores-*.parquet"))
            fix = f"systems there: {', '.join(have)}" if have else "give the folder of a finished run"
            raise InputError("no scores of this system", where=str(self._file), fix=fix)

    def fit(self, splits: Splits) -> None:
        """Nothing to learn."""

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        """The stored scores, in the order of ``rows`` and ``candidates``.

        Raises:
            InputError: a row is missing there, or has another target or other candidates.
        """
        if rows.whole is not None:
            raise InputError("baseline 'run' reads scores of lists; candidates.n: all ranks the whole catalogue, of "
                             "which a run keeps the best", where=str(self._file),
                             fix="leave it out, and put the runs side by side with polo compare")  # fmt: skip
        try:
            table = pq.read_table(self._file, columns=["row", "target", "candidates", "scores"])
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"cannot be read: {error}", where=str(self._file), fix="evaluate that run again"
            ) from error
        ids, target = (table.column(name).to_numpy() for name in ("row", "target"))
        order = np.argsort(ids, kind="stable")
        at = (
            order[np.minimum(np.searchsorted(ids[order], rows.id), len(ids) - 1)] if len(ids) else np.empty(0, np.int64)
        )
        if not len(ids) or (ids[at] != rows.id).any() or (target[at] != rows.target).any():
            raise self._unlike("it was not evaluated on the rows that are evaluated here")
        lists, scores = (_matrix(table.column(name)) for name in ("candidates", "scores"))
        if lists is None or scores is None or lists.shape[1] != candidates.shape[1]:
            raise self._unlike("its candidate lists have another length")
        here, there = np.argsort(candidates, axis=1), np.argsort(lists[at], axis=1)
        same = np.take_along_axis(candidates, here, axis=1) == np.take_along_axis(lists[at], there, axis=1)
        if not same.all():
            raise self._unlike(f"the candidates of row {int(rows.id[~same.all(axis=1)][0])} are others there")
        out = np.empty(candidates.shape)
        np.put_along_axis(out, here, np.take_along_axis(scores[at], there, axis=1), axis=1)
        return out

    def _unlike(self, what: str) -> InputError:
        return InputError(f"this run cannot be a baseline here: {what}", where=str(self._file),
                          fix="evaluate it under this protocol: polo eval RUN candidates.seed=...")  # fmt: skip


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float64] | None:
    """``[N, n]`` from a column of lists, ``None`` if they differ in length."""
    lengths = np.unique(column.combine_chunks().value_lengths().to_numpy())
    if len(lengths) != 1:
        return None
    flat: npt.NDArray[np.float64] = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), int(lengths[0]))
