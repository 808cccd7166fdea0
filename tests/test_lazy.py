"""Rows and known items on the disk are those in memory, one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, Known, KnownOnDisk, LazyRows, PoloError, Rows

SEQUENCES = st.lists(st.lists(st.integers(0, 8), max_size=7), min_size=1, max_size=6)


def both(sequences: list[list[int]], least: int, window: int, folder: Path | None = None) -> tuple[LazyRows, Rows]:
    """Rows for each event after the first ``least`` of its sequence, lazily made and written out one by one."""
    lengths = np.array([len(one) for one in sequences])
    begin, counts = np.cumsum(lengths) - lengths, np.maximum(lengths - least, 0)
    user = 10 * np.arange(len(sequences))
    lazy = LazyRows(
        np.array([item for one in sequences for item in one], np.int32), user, begin,
        np.full(len(sequences), least), np.append(0, np.cumsum(counts)), window=window, first_id=5, folder=folder,
    )  # fmt: skip
    lines = [
        (10 * s, ([PAD] * window + one[:at])[at:], one[at])
        for s, one in enumerate(sequences)
        for at in range(least, len(one))
    ]
    history = np.array([line[1] for line in lines], np.int64).reshape(len(lines), window)
    users, targets = (np.array([line[at] for line in lines], np.int64) for at in (0, 2))
    return lazy, Rows(np.arange(5, 5 + len(lines)), users, history, targets)


def assert_same(ours: Rows, theirs: Rows) -> None:
    for name in ("id", "user", "history", "target"):
        assert getattr(ours, name).dtype == np.int64
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


@given(SEQUENCES, st.integers(0, 3), st.integers(1, 4), st.data())
def test_law_rows_made_when_asked_for_are_those_written_out(
    sequences: list[list[int]], least: int, window: int, data: st.DataObject
) -> None:
    lazy, rows = both(sequences, least, window)
    assert len(lazy) == len(rows)
    assert_same(lazy, rows)  # type: ignore[arg-type]
    assert_same(lazy.gathered(), rows)
    places = st.integers(-len(rows), max(len(rows) - 1, 0))
    index = np.array(data.draw(st.lists(places, max_size=5 if len(rows) else 0)), int)
    assert_same(lazy[index], rows[index])
    assert_same(lazy[1:-1:2], rows[1:-1:2])
    assert_same(lazy[rows.target > 3], rows[rows.target > 3])
    size = data.draw(st.integers(1, 5))
    for ours, theirs in zip(lazy.blocks(size), rows.blocks(size), strict=True):
        assert_same(ours, theirs)
    assert lazy.users().tolist() == rows.users().tolist()
    assert lazy.target_counts(9).tolist() == rows.target_counts(9).tolist()
    assert lazy.window == rows.window == window


def test_lists_gather_the_rows_and_no_lists_leave_them_on_the_disk() -> None:
    lazy, rows = both([[1, 2, 3]], least=1, window=2)
    lists = np.array([[2, 0], [0, 3]])
    assert_same(lazy.with_candidates(lists), rows)
    assert np.array_equal(lazy.with_candidates(lists).listed, lists)
    assert lazy.with_candidates(None) is lazy
    assert repr(lazy) == "LazyRows(2 rows of 1 sequences)"
    with pytest.raises(IndexError, match="2 rows hold no row"):
        lazy[np.array([2])]


def test_room_lies_in_a_file_without_a_name(tmp_path: Path) -> None:
    lazy, _ = both([[1, 2, 3]], 1, 2, tmp_path)
    room = lazy.room(3)
    room[:] = 7
    assert (type(room), room.tolist(), list(tmp_path.iterdir())) == (np.ndarray, [7, 7, 7], [])
    assert len(lazy.room(0)) == 0
    with pytest.raises(PoloError, match="no room for 9,223,372,036,854,775 numbers"):
        lazy.room(9_223_372_036_854_775)


def test_a_system_that_cannot_reserve_gives_files_their_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    room = both([[1, 2, 3]], 1, 2, tmp_path)[0].room(3)
    room[1] = 5
    marked = KnownOnDisk.unmarked(tmp_path / "marked", 4)
    KnownOnDisk.mark(np.array([3, 1]), 4, marked)
    # 4 codes with 16 hashes each or more: 128 bits
    assert (room.tolist(), len(marked), int(np.bitwise_count(marked).sum())) == ([0, 5, 0], 16, 2)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=40))
def test_law_known_on_the_disk_knows_what_known_knows(pairs: list[tuple[int, int]]) -> None:
    user, item = np.array(pairs, np.int64).reshape(-1, 2).T
    codes = np.unique(user * 9 + item)
    marked = np.zeros(KnownOnDisk.size(len(codes)), np.uint8)
    for some in np.array_split(codes, 3):
        KnownOnDisk.mark(some, len(codes), marked)
    ours, theirs = KnownOnDisk(codes, marked, 9), Known(user, item, 9)
    users, items = np.arange(8), np.broadcast_to(np.arange(9), (8, 9))
    assert np.array_equal(ours.has(users, items), theirs.has(users, items))
    assert np.array_equal(ours.items(users), theirs.items(users))
    assert np.array_equal(ours.lists(users).items, theirs.lists(users).items)
