"""Audits of data on the disk: those of the same data in memory, or of some users, which is said."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from polo import LazyRows, Splits
from polo.audit import verdicts
from polo.audit.verdicts import check
from tests.polo_audits.world import audits, clean, fired, sequences, splits_of, subject

NAMES = ("candidates", "leakage", "ties")


def on_disk(splits: Splits) -> Splits:
    """The same rows, made from the sequences when they are asked for; leave-last-out with at least 3 items shown."""
    taken = [
        [*splits.sequences[s], splits.valid.target[s], splits.test.target[s]] for s in range(len(splits.sequences))
    ]
    length = np.array([len(one) for one in taken])
    items, begin = np.concatenate(taken).astype(np.int32), np.cumsum(length) - length
    parts = {}
    for name, place, count in (("train", np.full_like(length, 3), length - 5), ("valid", length - 2, length > 0),
                               ("test", length - 1, length > 0)):  # fmt: skip
        starts = np.append(0, np.cumsum(count)).astype(np.int64)
        given = splits.sequences.user, begin, place, starts
        parts[name] = LazyRows(items, *given, window=5, first_id=getattr(splits, name).id[0])
    return replace(splits, **parts)


@pytest.mark.parametrize("spoiled", [False, True])
def test_all_users_are_looked_at_where_they_fit(spoiled: bool) -> None:
    lists = sequences(np.random.default_rng(3))
    if spoiled:  # everybody's answer is what they took before
        lists = [np.append(one[:-1], one[-5]) for one in lists]
    splits = splits_of(lists)
    theirs, ours = (check(audits(NAMES), subject(one)) for one in (splits, on_disk(splits)))
    assert ours == theirs
    assert ("leakage" in fired(ours)) == spoiled


def test_some_users_are_looked_at_where_not_all_fit() -> None:
    splits = on_disk(clean(3))
    with patch.object(verdicts, "TRAIN_ROWS", len(splits.train) // 4):
        seen = subject(splits)
        found = check(audits(NAMES), seen)
    users = seen.splits.train.users()
    assert 30 < len(users) < 150
    assert all(one.finding.meaning.endswith(f" Looked at: {len(users)} of 300 users.") for one in found)
    assert fired(found) == set()
    for name in ("train", "valid", "test"):
        rows, every = getattr(seen.splits, name), getattr(splits, name).gathered()
        assert np.array_equal(rows.id, every.id[np.isin(every.user, users)])
        assert np.array_equal(rows.history, every.history[np.isin(every.user, users)])
    assert seen.splits.sequences.user.tolist() == users.tolist()
