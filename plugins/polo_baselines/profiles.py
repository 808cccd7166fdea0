"""Which items a user, or a row, is known by: sparse matrices of zeros and ones. Knows rows and sequences."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse

from polo import PAD, IntArray, Rows, Sequences

#: entries of the largest temporary array
ENTRIES: Final = 1 << 22


def of_users(sequences: Sequences, n_items: int) -> tuple[IntArray, sparse.csr_array]:
    """User numbers, ascending, and their training items ``[users, n_items]``; an item taken twice counts once."""
    owner = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))
    numbers, user = np.unique(sequences.user, return_inverse=True)
    has = sparse.coo_array((np.ones(len(owner)), (user[owner], sequences.items)), shape=(len(numbers), n_items)).tocsr()
    has.data[:] = 1.0
    return numbers, has


def of_histories(rows: Rows, n_items: int) -> sparse.csr_array:
    """The shown histories ``[N, n_items]``; an item that is shown twice counts twice."""
    row, column = np.nonzero(rows.history != PAD)
    shown = (np.ones(len(row)), (row, rows.history[row, column]))
    return sparse.coo_array(shown, shape=(len(rows), n_items)).tocsr()


class Profiles:
    """What a fitted model looks at when it scores a row: the shown history, or all training items of its user.

    Rows that can show nothing (a history of width 0) are known by their users' training items either way.

    Example:
        >>> profiles = Profiles("history", Sequences.of([4], [[0, 2]]), n_items=3)
        >>> rows = Rows(np.arange(1), np.array([4]), np.array([[-1, 1]]), np.zeros(1, np.int64))
        >>> profiles.of(rows).toarray().tolist()
        [[0.0, 1.0, 0.0]]
    """

    def __init__(self, looks_at: str, sequences: Sequences, n_items: int) -> None:
        self._shown = looks_at == "history"
        self._users, self.training = of_users(sequences, n_items)

    def of(self, rows: Rows) -> sparse.csr_array:
        """Zeros and ones ``[N, n_items]``; a user without training items has none."""
        if self._shown and rows.history.shape[1]:
            shown = of_histories(rows, self.training.shape[1])
            shown.data[:] = 1.0
            return shown
        if not len(self._users):
            return sparse.csr_array((len(rows), self.training.shape[1]))
        at = np.minimum(np.searchsorted(self._users, rows.user), len(self._users) - 1)
        known = (self._users[at] == rows.user).astype(np.float64)
        return sparse.csr_array(sparse.dia_array((known[None, :], [0]), shape=(len(rows),) * 2) @ self.training[at])
