"""What every sampler keeps: over the whole catalogue, and within lists that a prompt shows, unless it refuses these."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from polo.data import Rows, Splits
from polo.errors import PoloError
from polo.protocols import Drawing, Sampler, gives_of
from polo.randomness import RowRandom
from polo.scores import Draw
from polo.testing.laws.state import check_state
from polo.testing.samplers import PeekAll, scores_of
from polo.testing.subject import Subject
from polo.testing.world import small_splits

_ROWS = 12
_COLUMNS = ("id", "user", "history", "target", "candidates")
#: items of a list
_LIST = 12


@dataclass(frozen=True)
class Drawn:
    """A sampler, and what it drew for some rows."""

    sampler: Sampler
    splits: Splits
    rows: Rows
    rng: RowRandom
    draw: Draw

    def again(self, rows: Rows) -> Draw:
        """Another draw, of the same randomness."""
        return self.sampler.draw(rows, self.rng, PeekAll(len(self.splits.items)))

    def lists(self) -> Iterator[tuple[int, list[int]]]:
        """Each row's number and the valid items that were drawn for it."""
        return ((i, self.draw.items[i, self.draw.valid[i]].tolist()) for i in range(len(self.rows)))


def draws_items(subject: Subject) -> None:
    """A draw of each row: int64 items and a bool mask of one shape, with some valid ones among them."""
    for drawn in worlds(subject):
        draw = drawn.draw
        assert draw.items.dtype == torch.int64, f"items are int64, not {draw.items.dtype}"
        assert draw.valid.dtype == torch.bool, f"valid is bool, not {draw.valid.dtype}"
        assert draw.items.shape == draw.valid.shape, "items and valid have one shape"
        assert len(draw.items) == len(drawn.rows), "a draw of each row"
        assert draw.valid.any(), "some negatives are drawn"


def draws_from_the_catalogue(subject: Subject) -> None:
    """Valid items are items of the catalogue."""
    for drawn in worlds(subject):
        n = len(drawn.splits.items)
        assert all(0 <= item < n for _, items in drawn.lists() for item in items), "items are of the catalogue"


def draws_different_items(subject: Subject) -> None:
    """No item twice in a row's draw, unless the tag `with_replacement` takes this back."""
    for drawn in () if subject.says("with_replacement") else worlds(subject):
        assert all(len(set(items)) == len(items) for _, items in drawn.lists()), (
            "the negatives of a row are different items (else tag the component `with_replacement`)"
        )


def draws_no_target(subject: Subject) -> None:
    """A row's target is no negative of it."""
    for drawn in worlds(subject):
        assert all(int(drawn.rows.target[i]) not in items for i, items in drawn.lists()), "the target is no negative"


def draws_nothing_known(subject: Subject) -> None:
    """Nothing of the shown history, nor known from training; unless the tag `plants_known` takes this back."""
    for drawn in () if subject.says("plants_known") else worlds(subject):
        known = drawn.splits.known_train.has(drawn.rows.user, drawn.draw.items.numpy())
        for i, items in drawn.lists():
            assert not set(items) & set(drawn.rows.history_of(i).tolist()), "the shown history holds no negatives"
            assert not known[i][drawn.draw.valid[i].numpy()].any(), (
                "known positives are no negatives (else tag the component `plants_known`)"
            )


def draws_within_lists(subject: Subject) -> None:
    """Where rows have a list that their prompt shows, negatives are of it; a sampler may refuse such rows."""
    for drawn in worlds(subject):
        if drawn.rows.candidates is not None:
            lists = drawn.rows.candidates.tolist()
            assert all(set(items) <= set(lists[i]) for i, items in drawn.lists()), "negatives are of the row's own list"


def draws_alike_again(subject: Subject) -> None:
    """The same rows and the same randomness give the same draw."""
    for drawn in worlds(subject):
        assert _same(drawn.draw, drawn.again(drawn.rows)), "the same draw every time"


def rows_stand_alone(subject: Subject) -> None:
    """A row's draw depends on that row alone, unless the tag `batchwise` takes this back."""
    some = np.array([7, 2, 5])
    for drawn in () if subject.says("batchwise") else worlds(subject):
        assert _same(drawn.draw[torch.from_numpy(some)], drawn.again(drawn.rows[some])), (
            "a row's draw depends on that row alone (else tag the component `batchwise`)"
        )


def says_how_it_draws(subject: Subject) -> None:
    """`log_q` is there exactly if `gives` names it, and finite where valid; no more negatives than `k` says."""
    for drawn in worlds(subject):
        log_q, sampler = drawn.draw.log_q, drawn.sampler
        assert (log_q is not None) == ("log_q" in gives_of(sampler)), "`gives` says whether log_q is there"
        if log_q is not None:
            assert log_q.shape == drawn.draw.items.shape, "log_q has the shape of items"
            assert log_q[drawn.draw.valid].isfinite().all(), "log_q is finite where valid"
        if isinstance(sampler, Drawing) and sampler.k:
            assert drawn.draw.items.shape[1] <= sampler.k, f"no more negatives than `k` says, which is {sampler.k}"


def keeps_valid_ones(subject: Subject) -> None:
    """`keep` marks valid negatives only; where nothing is valid, nothing."""
    for drawn in worlds(subject):
        scores = scores_of(drawn.rows, drawn.draw)
        none = replace(scores, valid=scores.valid & (torch.arange(scores.valid.shape[1]) == 0))
        for progress in (0.0, 0.5, 1.0):
            keep = drawn.sampler.keep(scores, drawn.rng, progress)
            assert keep.shape == drawn.draw.valid.shape, f"keep has shape {tuple(keep.shape)}"
            assert keep.dtype == torch.bool, f"keep is bool, not {keep.dtype}"
            assert not (keep & ~drawn.draw.valid).any(), "only valid negatives are kept"
            assert not drawn.sampler.keep(none, drawn.rng, progress).any(), "nothing valid, nothing kept"


def keeps_alike_again(subject: Subject) -> None:
    """The same scores and the same randomness give the same `keep`."""
    for drawn in worlds(subject):
        scores = scores_of(drawn.rows, drawn.draw)
        first, second = (drawn.sampler.keep(scores, drawn.rng, 0.5) for _ in range(2))
        assert torch.equal(first, second), "keep is the same every time"


def changes_no_input(subject: Subject) -> None:
    """Rows and scores are the same after a call."""
    for drawn in worlds(subject):  # which it drew for already
        rows, scores = drawn.rows, scores_of(drawn.rows, drawn.draw)
        given, scored = drawn.splits.train[:_ROWS], scores.map(torch.clone)
        drawn.sampler.keep(scores, drawn.rng, 0.5)
        same = all(np.array_equal(vars(given)[name], vars(rows)[name]) for name in _COLUMNS)
        same = same and torch.equal(scored.valid, scores.valid)
        same = same and torch.equal(scored.policy.nan_to_num(), scores.policy.nan_to_num())
        assert same, "the inputs are not changed"


def state_is_complete(subject: Subject) -> None:
    """What running state there is goes through a checkpoint: one that loads it goes on alike."""
    drawn = next(worlds(subject))
    check_state(subject, lambda s: s.draw(drawn.rows, drawn.rng, PeekAll(len(drawn.splits.items))).items)


def worlds(subject: Subject) -> Iterator[Drawn]:
    """What it draws over the whole catalogue, and within lists; without the one that it refuses.

    An object that nobody declared was built with its data already, and draws for these alone.

    Raises:
        AssertionError: it refuses both.
    """
    found, said = 0, []
    given = subject.splits
    listed = given if given.train.candidates is not None else small_splits(lists=_LIST)
    hidden = replace(given, train=given.train.with_candidates(None))
    for splits in (given,) if subject.entry is None else (hidden, listed):
        rows, rng = copy.deepcopy(splits.train[:_ROWS]), RowRandom(0, "stage", 0)
        sampler = subject.new(splits)
        try:
            draw = sampler.draw(rows, rng, PeekAll(len(splits.items)))
        except PoloError as error:
            if subject.entry is None:
                raise
            said.append(error.what)
            continue
        found += 1
        yield Drawn(sampler, splits, rows, rng, draw)
    assert found, f"it draws neither from the catalogue nor from lists: {'; '.join(said)}"


def _same(a: Draw, b: Draw) -> bool:
    return torch.equal(a.valid, b.valid) and torch.equal(a.items[a.valid], b.items[b.valid])


LAWS = (
    draws_items,
    draws_from_the_catalogue,
    draws_different_items,
    draws_no_target,
    draws_nothing_known,
    draws_within_lists,
    draws_alike_again,
    rows_stand_alone,
    says_how_it_draws,
    keeps_valid_ones,
    keeps_alike_again,
    changes_no_input,
    state_is_complete,
)
