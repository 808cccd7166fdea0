"""Samplers: the law they draw by, what they select, and what they remember."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Context, InputError, PoloError, RowRandom, Rows, Scores
from polo.testing import Case, context, small_splits
from polo.testing.samplers import PeekAll, peek, scores_of
from polo.testing.strategies import score_cases
from polo_preference.noise import gumbel, uniform
from polo_preference.samplers.pool import barred_items
from polo_preference.samplers.weighted import draw_weighted
from tests.contracts.components import UNIFORM, choice, make

SPLITS = small_splits()
RNG = RowRandom(0, "stage", 0)


def sampler(name: str, ctx: Context | None = None, **options: Any) -> Any:
    return make("sampler", name, ctx or context(splits=SPLITS), **options)


def many(n: int, target: int = 0) -> Rows:
    """n rows of an unknown user without history."""
    return Rows(
        id=np.arange(n), user=np.full(n, 10**6), history=np.full((n, 1), -1), target=np.full(n, target, dtype=np.int64)
    )


def chi_square_ok(observed: np.ndarray, expected: np.ndarray) -> bool:
    """Pearson's statistic below mean + 5 deviations of its distribution (n - 1, 2 (n - 1))."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    n = len(observed) - 1
    return statistic < n + 5 * (2 * n) ** 0.5


# -- draws ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [None, 12])
def test_uniform_draws_every_allowed_item_alike(lists: int | None) -> None:
    rows = many(6000, target=3)
    if lists:
        rows = rows.with_candidates(np.broadcast_to(np.arange(lists), (6000, lists)).copy())
    draw = sampler("uniform", k=4).draw(rows, RNG, peek)
    n = lists or len(SPLITS.items)
    seen = np.bincount(draw.items[draw.valid].numpy(), minlength=n)
    assert seen[3] == 0
    assert chi_square_ok(np.delete(seen, 3), np.full(n - 1, 6000 * 4 / (n - 1)))


def test_never_resampled_means_the_same_in_every_epoch_and_stage() -> None:
    rows = SPLITS.train[:9]
    first, later = RowRandom(0, "prefer", 0), RowRandom(0, "again", 5)
    for name in ("uniform", "popularity"):
        never, anew = sampler(name, k=6), sampler(name, k=6, resample="epoch")
        assert torch.equal(never.draw(rows, first, peek).items, never.draw(rows, later, peek).items)
        assert not torch.equal(anew.draw(rows, first, peek).items, anew.draw(rows, later, peek).items)


def test_the_seed_of_the_recipe_changes_the_draw() -> None:
    rows = SPLITS.train[:9]
    a, b = (sampler("uniform", context(splits=SPLITS, seed=s), k=6).draw(rows, RNG, peek).items for s in (0, 1))
    assert not torch.equal(a, b)


def test_uniform_from_lists_that_are_not_there_says_what_to_do() -> None:
    with pytest.raises(PoloError, match="no candidate lists"):
        sampler("uniform", pool="candidates").draw(many(2), RNG, peek)


def test_a_row_with_few_items_to_draw_gets_all_of_them() -> None:
    small = small_splits(users=4, items=13)
    rows = small.train[:4]
    for name in ("uniform", "popularity"):
        draw = sampler(name, context(splits=small), k=50).draw(rows, RNG, peek)
        for i in range(4):
            every = np.arange(13)[None]
            barred = small.known_train.has(rows.user[i : i + 1], every)[0] | np.isin(every[0], rows.history[i])
            barred[rows.target[i]] = True
            assert sorted(draw.items[i, draw.valid[i]].tolist()) == np.flatnonzero(~barred).tolist()


@pytest.mark.parametrize("k", [1, 3])
def test_weighted_draws_follow_the_weights_one_after_the_other(k: int) -> None:
    """Weights 1, 2, 3, 4 with item 1 forbidden. First draws in proportion 1 : 3 : 4; for k = 3 all three are drawn, and
    the second is j after i with probability w_j / (8 - w_i)."""
    weight = np.array([1.0, 2.0, 3.0, 4.0])
    n = 8000
    items, valid = draw_weighted(RowRandom(1), np.arange(n), weight, k, lambda at, items: items == 1)
    assert valid.all()
    first = np.bincount(items[:, 0], minlength=4)
    assert chi_square_ok(first[[0, 2, 3]], n * np.array([1, 3, 4]) / 8)
    if k == 3:
        assert (np.sort(items, axis=1) == [0, 2, 3]).all()
        after_3 = np.bincount(items[items[:, 0] == 3, 1], minlength=4)[[0, 2]]
        assert chi_square_ok(after_3, after_3.sum() * np.array([1, 3]) / 4)


def test_weighted_draws_that_must_rank_the_rest_have_the_same_law() -> None:
    """One item holds nearly all the weight and is forbidden, so proposals fail and the rest is ranked: 1 : 2."""
    weight = np.array([1.0, 2.0, 1e9])
    items, valid = draw_weighted(RowRandom(1), np.arange(4000), weight, 1, lambda at, items: items == 2)
    assert valid.all()
    assert chi_square_ok(np.bincount(items[:, 0], minlength=3)[:2], 4000 * np.array([1, 2]) / 3)


def test_popularity_draws_by_count_to_the_power_of_alpha() -> None:
    from polo_preference.samplers.pool import counts

    weight = (counts(SPLITS) + 1.0) ** 1.5
    weight[0] = 0.0  # the target
    draw = sampler("popularity", k=1, alpha=1.5).draw(many(8000), RNG, peek)
    seen = np.bincount(draw.items[:, 0].numpy(), minlength=len(weight))
    assert seen[0] == 0
    assert chi_square_ok(seen[1:], 8000 * weight[1:] / weight.sum())


def test_popularity_log_q_of_one_draw_is_the_share_of_the_weight_that_can_be_drawn() -> None:
    from polo_preference.samplers.pool import counts

    draw = sampler("popularity", k=1, smoothing=1.0).draw(many(50), RNG, peek)
    share = (counts(SPLITS) + 1.0) ** 0.75
    share[0] = 0.0  # the target
    assert np.allclose(draw.log_q.exp().numpy(), (share / share.sum())[draw.items.numpy()], rtol=1e-5)


def test_in_batch_draws_other_rows_targets() -> None:
    rows = SPLITS.train[:20]
    draw = sampler("in_batch", k=5).draw(rows, RNG, peek)
    assert set(draw.items[draw.valid].tolist()) <= set(rows.target.tolist())


def test_in_batch_draws_every_other_target_where_k_asks_for_as_many() -> None:
    """Three rows of unknown users with three targets: two others each, however large k is."""
    rows = replace(many(3), target=np.arange(3))
    draw = sampler("in_batch", k=5).draw(rows, RNG, peek)
    assert draw.valid.all()
    assert sets(draw.items) == [{1, 2}, {0, 2}, {0, 1}]


def test_in_batch_of_one_row_has_nothing_to_draw() -> None:
    assert sampler("in_batch").draw(SPLITS.train[:1], RNG, peek).items.shape == (1, 0)


def test_catalogue_is_every_other_item() -> None:
    draw = sampler("catalogue", exclude_known=False).draw(many(2, target=7), RNG, peek)
    assert draw.items[0].tolist() == [i for i in range(60) if i != 7]
    assert draw.valid.all()
    rows = SPLITS.train[:6]
    assert not sampler("catalogue").draw(rows, RNG, peek).valid.all()


def test_noisy_plants_known_items_at_the_rate() -> None:
    rows = SPLITS.train
    plain = sampler("uniform", k=8).draw(rows, RNG, peek)
    for rate in (0.0, 0.25, 1.0):
        draw = sampler("noisy", from_=UNIFORM, rate=rate).draw(rows, RNG, peek)
        known = SPLITS.known_train.has(rows.user, draw.items.numpy()) & draw.valid.numpy()
        assert torch.equal(draw.items[~torch.from_numpy(known)], plain.items[~torch.from_numpy(known)])
        if rate == 0.25:
            assert 0.15 < known.mean() < 0.3
        elif rate == 0.0:
            assert not known.any()
        else:  # all that the user has, at most 8
            liked = SPLITS.known_train.count(rows.user) - 1
            assert (known.sum(axis=1) == np.minimum(liked, 8)).all()


def test_noisy_with_repeats_reaches_the_rate_where_users_have_few_items() -> None:
    rows = SPLITS.train
    draw = sampler("noisy", from_=UNIFORM, rate=1.0, repeat=True).draw(rows, RNG, peek)
    items, others = draw.items.numpy(), SPLITS.known_train.count(rows.user) - 1
    planted = SPLITS.known_train.has(rows.user, items) & (items != rows.target[:, None])
    # all eight of each row, though users have fewer than eight others, and none where there are none
    assert (others < 8).any()
    assert planted[others > 0].all()
    half = sampler("noisy", from_=UNIFORM, rate=0.5, repeat=True).draw(rows, RNG, peek).items.numpy()
    assert 0.4 < SPLITS.known_train.has(rows.user, half)[others > 0].mean() < 0.6


# -- selections -------------------------------------------------------------------------------------------------


def keep(name: str, scores: Scores, progress: float = 0.0, **options: Any) -> torch.Tensor:
    return sampler(name, from_=UNIFORM, **options).keep(scores, RNG, progress)


@given(score_cases(), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_hard_keeps_the_n_highest_valid(case: Case, n: int) -> None:
    s = case.scores
    kept = keep("hard", s, n=n)
    assert torch.equal(kept.sum(-1), s.valid_rejected.sum(-1).clamp(max=n))
    for i in range(len(kept)):
        left = s.rejected[i][s.valid_rejected[i] & ~kept[i]]
        assert not len(left) or s.rejected[i][kept[i]].min() >= left.max()


def test_curriculum_goes_from_the_lowest_to_the_highest() -> None:
    """Five negatives, n = 2: places 0-1, then round(0.5 * 3) = 2 (to even) to 3, then 3-4 in ascending order."""
    s = Scores.of(torch.tensor([[0.0, -3.0, -1.0, -5.0, -2.0, -4.0]]))
    order = [[2, 4], [0, 3], [1, 3]]
    for progress, at in zip((0.0, 0.5, 1.0), order, strict=True):
        assert torch.nonzero(keep("curriculum", s, progress, n=2)[0])[:, 0].tolist() == at


@given(score_cases(), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_curriculum_never_becomes_easier(case: Case, n: int) -> None:
    s = case.scores
    means = []
    for progress in (0.0, 0.3, 0.6, 1.0):
        kept = keep("curriculum", s, progress, n=n)
        assert torch.equal(kept.sum(-1), s.valid_rejected.sum(-1).clamp(max=n))
        means.append(torch.where(kept, s.rejected, 0.0).sum(-1) / kept.sum(-1).clamp(min=1))
    assert all((a <= b + 1e-9).all() for a, b in pairwise(means))


def test_softmax_keeps_by_the_policys_probabilities() -> None:
    """Scores log 1, log 3, log 4 at T = 1, n = 1: 1/8, 3/8, 4/8; at T = 1/2 their squares: 1/26, 9/26, 16/26."""
    n = 6000
    s = Scores.of(torch.tensor([0.0, 1.0, 3.0, 4.0]).double().clamp(min=0.5).log().expand(n, 4))
    for temperature, weight in ((1.0, [1, 3, 4]), (0.5, [1, 9, 16])):
        seen = keep("softmax", s, n=1, temperature=temperature).sum(0).numpy()
        assert seen.sum() == n
        assert chi_square_ok(seen, n * np.array(weight) / sum(weight))


def test_dns_draws_from_the_best_of_the_pool() -> None:
    rows = SPLITS.train[:30]
    pool = sampler("uniform", k=8).draw(rows, RNG, peek)
    best = peek(rows, pool.items).argsort(dim=-1, descending=True)
    classic = sampler("dns", from_=UNIFORM, k=1, m=1).draw(rows, RNG, peek)
    assert torch.equal(classic.items, pool.items.gather(1, best[:, :1]))
    softer = sampler("dns", from_=UNIFORM, k=2, m=4).draw(rows, RNG, peek)
    top = pool.items.gather(1, best[:, :4])
    assert all(set(softer.items[i].tolist()) <= set(top[i].tolist()) for i in range(30))
    assert not torch.equal(softer.items.sort(-1).values, pool.items.gather(1, best[:, :2]).sort(-1).values)


def test_top_draws_from_the_best_of_the_catalogue_that_the_user_does_not_know() -> None:
    rows, looking = SPLITS.train[:20], PeekAll(len(SPLITS.items))
    every = sampler("catalogue").draw(rows, RNG, looking)
    scores = peek(rows, every.items).masked_fill(~every.valid, -torch.inf)
    best = every.items.gather(1, scores.argsort(dim=-1, descending=True)[:, :6]).tolist()
    hardest = sampler("top", k=6, m=6).draw(rows, RNG, looking)
    assert [set(line) for line in hardest.items.tolist()] == [set(line) for line in best]
    some = sampler("top", k=2, m=6).draw(rows, RNG, looking)
    places = [[line.index(item) for item in own] for line, own in zip(best, some.items.tolist(), strict=True)]
    assert set(np.ravel(places).tolist()) == set(range(6))  # any of the six, in 40 draws


def test_hard_and_dns_over_the_best_of_the_catalogue_are_those_over_all_of_it() -> None:
    """``from: catalogue`` scores every item, ``from: top`` lets the policy find the few that can matter."""
    rows, looking = SPLITS.train[:20], PeekAll(len(SPLITS.items))
    kept, classic = [], []
    for pool in (choice("sampler", "catalogue"), choice("sampler", "top", k=6, m=6)):
        hard = sampler("hard", from_=pool, n=3)
        drawn = hard.draw(rows, RNG, looking)
        marks = hard.keep(scores_of(rows, drawn), RNG, 0.0)
        kept.append([sorted(line[mark].tolist()) for line, mark in zip(drawn.items, marks, strict=True)])
        classic.append(sampler("dns", from_=pool, k=1, m=1).draw(rows, RNG, looking).items.tolist())
    assert kept[0] == kept[1]
    assert {len(line) for line in kept[0]} == {3}
    assert classic[0] == classic[1]


def test_top_is_refused_without_a_policy_that_finds_and_with_more_than_it_looks_at() -> None:
    with pytest.raises(PoloError, match="does not find its best items"):
        sampler("top").draw(SPLITS.train[:2], RNG, peek)
    with pytest.raises(InputError, match="set m to 3 or more"):
        sampler("top", k=3, m=2)


def test_dns_that_asks_for_more_than_it_looks_at_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be chosen"):
        sampler("dns", from_=UNIFORM, k=3, m=2)


def test_wrappers_compose() -> None:
    """Of 8 drawn: curriculum keeps the 5 hardest at the end, hard the 2 best of those."""
    inner = choice("sampler", "curriculum", from_=UNIFORM, n=5)
    rows = SPLITS.train[:10]
    drawn = sampler("uniform", k=8).draw(rows, RNG, peek)
    s = scores_of(rows, drawn)
    both = sampler("hard", from_=inner, n=2).keep(s, RNG, 1.0)
    assert torch.equal(both, keep("hard", s, n=2))
    start = sampler("hard", from_=inner, n=2).keep(s, RNG, 0.0)
    assert not torch.equal(start, both)


# -- self-play --------------------------------------------------------------------------------------------------


def test_self_play_draws_what_the_policy_preferred_at_the_last_refresh() -> None:
    rows = SPLITS.train
    part = sampler("self_play", from_=UNIFORM, k=2, every=2)
    pool = sampler("uniform", k=8).draw(rows, RNG, peek)
    assert torch.equal(part.draw(rows, RNG, peek).items, pool.items[:, :2])  # nothing seen yet
    part.refresh(0, rows, peek)
    best = top_two(rows, peek)
    assert sets(part.draw(rows, RNG, peek).items) == best

    def turned(r: Rows, items: torch.Tensor) -> torch.Tensor:
        return -peek(r, items)

    part.refresh(1, rows, turned)  # not due
    assert sets(part.draw(rows, RNG, turned).items) == best
    part.refresh(2, rows, turned)
    assert sets(part.draw(rows, RNG, turned).items) == top_two(rows, turned)
    resumed = sampler("self_play", from_=UNIFORM, k=2, every=2)
    resumed.load_state_dict(part.state_dict())
    some = rows[np.array([5, 1, 3])]
    assert torch.equal(resumed.draw(some, RNG, peek).items, part.draw(some, RNG, peek).items)


def test_law_a_refresh_of_self_play_forgets_the_one_before() -> None:
    """Rows have lists of three or four items with the target, so that rows have unlike numbers of negatives."""
    rows = SPLITS.train[:20]
    lists = rows.target[:, None] + np.arange(4)
    lists[::2, 3] = rows.target[::2]
    rows = rows.with_candidates(lists % len(SPLITS.items))
    twice, once = (sampler("self_play", from_=UNIFORM, k=3) for _ in range(2))
    twice.refresh(0, rows, peek)
    for one in (twice, once):
        one.refresh(1, rows, peek)
    found, expected = twice.draw(rows, RNG, peek), once.draw(rows, RNG, peek)
    assert len(set(expected.valid.sum(-1).tolist())) > 1
    assert torch.equal(found.items, expected.items)
    assert torch.equal(found.valid, expected.valid)


def test_barred_items_are_each_there_once_and_filled_up_with_minus_one() -> None:
    rows = Rows(id=np.arange(1), user=np.array([10**6]), history=np.array([[-1, 3, 3, 5]]), target=np.array([5]))
    assert sorted(barred_items(rows, SPLITS.known_train)[0].tolist()) == [-1, -1, -1, 3, 5]


def top_two(rows: Rows, of: Any) -> list[set[int]]:
    pool = sampler("uniform", k=8).draw(rows, RNG, peek)
    best = of(rows, pool.items).argsort(dim=-1, descending=True)[:, :2]
    return sets(pool.items.gather(1, best))


def sets(items: torch.Tensor) -> list[set[int]]:
    return [set(row) for row in items.tolist()]


def test_self_play_draws_by_temperature_and_for_unseen_rows_from_the_pool() -> None:
    part = sampler("self_play", from_=UNIFORM, k=1, temperature=5.0)
    part.refresh(0, SPLITS.train[:20], peek)
    cold = sampler("self_play", from_=UNIFORM, k=1)
    cold.refresh(0, SPLITS.train[:20], peek)
    assert not torch.equal(part.draw(SPLITS.train[:20], RNG, peek).items, cold.draw(SPLITS.train[:20], RNG, peek).items)
    unseen = SPLITS.train[20:25]
    assert torch.equal(part.draw(unseen, RNG, peek).items, sampler("uniform", k=8).draw(unseen, RNG, peek).items[:, :1])


def test_law_self_play_at_a_temperature_draws_in_proportion_to_the_policys_probabilities() -> None:
    """Three items to draw from with p = 1/2, 1/3, 1/6 at temperature 2: their scores are 2 log p."""
    p = torch.tensor([1 / 2, 1 / 3, 1 / 6], dtype=torch.float64)
    rows = replace(many(6000), target=np.full(6000, 3))
    rows = rows.with_candidates(np.broadcast_to(np.arange(4), (6000, 4)).copy())
    among = choice("sampler", "uniform", k=3, pool="candidates")
    part = sampler("self_play", from_=among, k=1, temperature=2.0)
    part.refresh(0, rows, lambda r, items: 2 * p[items].log())
    drawn = part.draw(rows, RNG, peek).items
    assert chi_square_ok(np.bincount(drawn.ravel().numpy(), minlength=3), 6000 * p.numpy())


def test_a_wrapper_passes_on_state_refreshes_and_needs() -> None:
    inner = choice("sampler", "self_play", from_=UNIFORM, k=4)
    outer, other = (sampler("hard", from_=inner, n=1) for _ in range(2))
    outer.refresh(0, SPLITS.train, peek)
    other.load_state_dict(outer.state_dict())
    rows = SPLITS.train[:5]
    assert torch.equal(other.draw(rows, RNG, peek).items, outer.draw(rows, RNG, peek).items)
    nested = sampler("self_play", from_=inner, k=2)
    nested.refresh(0, SPLITS.train, peek)
    again = sampler("self_play", from_=inner, k=2)
    again.load_state_dict(nested.state_dict())
    assert torch.equal(again.draw(rows, RNG, peek).items, nested.draw(rows, RNG, peek).items)
    by_mean = choice("sampler", "boundary", from_=UNIFORM, statistic="mean")
    assert sampler("hard", from_=by_mean, n=1).needs == {"tokens"}


# -- noise ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=4), st.integers(1, 5), st.text(max_size=4))
@settings(max_examples=60, deadline=None)
def test_device_noise_is_row_random_bit_for_bit(rows: list[int], n: int, word: str) -> None:
    rng, ids = RowRandom(3, word), np.array(rows)
    assert (uniform(rng, torch.from_numpy(ids), n).numpy() == rng.uniform(ids, n)).all()
    assert gumbel(rng, torch.from_numpy(ids), n).isfinite().all()
