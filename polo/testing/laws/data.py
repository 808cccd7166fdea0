"""What every data source keeps. Whether the data themselves can be trusted is for audits to say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo.data import PAD, Rows, Splits
from polo.protocols import DataSource
from polo.testing.subject import Subject


def has_rows(subject: Subject) -> None:
    """There are training and test rows, and a catalogue with a title and an id of its own for each item."""
    splits = _load(subject)
    assert len(splits.train), "no training rows"
    assert len(splits.test), "no test rows"
    assert len(splits.items.titles) == len(splits.items.ids), "as many titles as ids"
    assert len(set(splits.items.ids)) == len(splits.items), "an id names one item"


def rows_are_well_formed(subject: Subject) -> None:
    """Columns are int64 and of one length; histories are padded on the left alone; items are of the catalogue."""
    splits = _load(subject)
    n = len(splits.items)
    for name, rows in _parts(splits).items():
        columns = {"id": rows.id, "user": rows.user, "history": rows.history, "target": rows.target}
        for column, values in columns.items():
            assert values.dtype == np.int64, f"{name}.{column} is int64, not {values.dtype}"
            assert len(values) == len(rows), f"{name}.{column} has a value for each row"
        assert rows.history.ndim == 2, f"{name}.history is [N, H]"
        padded = rows.history == PAD
        assert not (padded[:, 1:] & ~padded[:, :-1]).any(), f"{name}.history is padded on the left alone"
        assert ((rows.history >= PAD) & (rows.history < n)).all(), f"{name}.history holds items of the catalogue"
        assert ((rows.target >= 0) & (rows.target < n)).all(), f"{name}.target is an item of the catalogue"


def ids_are_unique(subject: Subject) -> None:
    """No two rows have one id, whatever their splits: randomness and caches are keyed by it."""
    ids = np.concatenate([rows.id for rows in _parts(_load(subject)).values()])
    assert len(np.unique(ids)) == len(ids), "a row's id is its own over all splits"


def lists_hold_the_target(subject: Subject) -> None:
    """Where rows come with candidate lists, each holds its target exactly once."""
    for name, rows in _parts(_load(subject)).items():
        if rows.candidates is not None:
            once = (rows.candidates == rows.target[:, None]).sum(axis=1) == 1
            assert once.all(), f"{name}: {(~once).sum()} lists do not hold their target exactly once"


def sets_begin_with_the_target(subject: Subject) -> None:
    """Where several items of a row are relevant, all differ, the target is first, `known_all` knows them."""
    splits = _load(subject)
    for name, rows in _parts(splits).items():
        if rows.relevant is None:
            continue
        assert len(rows.relevant) == len(rows), f"{name}.relevant has a list for each row"
        assert (rows.relevant.lengths > 0).all(), f"{name}.relevant has an item for each row"
        first = rows.relevant.items[rows.relevant.offsets[:-1]]
        assert np.array_equal(first, rows.target), f"{name}.target is the first relevant item"
        owner = np.repeat(np.arange(len(rows)), rows.relevant.lengths)
        pairs = np.stack([owner, rows.relevant.items])
        assert np.unique(pairs, axis=1).shape == pairs.shape, f"{name}.relevant holds an item twice"
        known = splits.known_all.has(rows.user[owner], rows.relevant.items[:, None])
        assert known.all(), f"known_all lacks relevant items of {name}"


def knows_what_was_taken(subject: Subject) -> None:
    """`known_all` knows every row's target; `known_train` knows training targets, and nothing beyond `known_all`."""
    splits = _load(subject)
    for name, rows in _parts(splits).items():
        assert splits.known_all.has(rows.user, rows.target[:, None]).all(), f"known_all lacks targets of {name}"
    train = splits.train
    assert splits.known_train.has(train.user, train.target[:, None]).all(), "known_train lacks targets of train"
    users = np.unique(np.concatenate([rows.user for rows in _parts(splits).values()]))
    known = splits.known_train.lists(users)
    owner = np.repeat(users, known.lengths)
    assert splits.known_all.has(owner, known.items[:, None]).all(), "known_all knows what known_train knows"


def sequences_are_of_training(subject: Subject) -> None:
    """Training sequences hold only what `known_train` knows, so nothing of validation and test rows alone."""
    splits = _load(subject)
    owner = np.repeat(splits.sequences.user, np.diff(splits.sequences.offsets))
    assert splits.known_train.has(owner, splits.sequences.items[:, None]).all(), (
        "sequences hold what is not of training"
    )


def loads_alike_again(subject: Subject) -> None:
    """Two sources built alike load the same rows, under the same fingerprint."""
    first, second = _load(subject), _load(subject)
    assert first.fingerprint, "a fingerprint"
    assert first.fingerprint == second.fingerprint, "the same data have the same fingerprint"
    for name, rows in _parts(first).items():
        other = _parts(second)[name]
        for column in ("id", "user", "history", "target"):
            assert np.array_equal(getattr(rows, column), getattr(other, column)), f"{name}.{column} is the same again"


def _load(subject: Subject) -> Splits:
    source: DataSource = subject.new()
    return source.load()


def _parts(splits: Splits) -> Mapping[str, Rows]:
    return {"train": splits.train, "valid": splits.valid, "test": splits.test}


LAWS = (
    has_rows,
    rows_are_well_formed,
    ids_are_unique,
    lists_hold_the_target,
    sets_begin_with_the_target,
    knows_what_was_taken,
    sequences_are_of_training,
    loads_alike_again,
)
