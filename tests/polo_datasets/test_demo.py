"""The generated world: reproducible, and its law is what its users follow."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from polo import PAD, InputError, ItemTable, Ranked, Splits
from polo.candidates import attach
from polo_baselines.simple import Popularity
from polo_datasets.best_possible import BestPossible
from polo_datasets.demo import Demo
from polo_datasets.demo_names import names
from polo_datasets.demo_world import (
    DRIFT,
    FADE,
    FRIEND,
    FRIENDS,
    GENRES,
    MEMORY,
    ROAM,
    World,
    make_items,
    make_sequences,
)  # fmt: skip
from polo_datasets.options import DemoOptions
from tests.real_data import context


@cache
def demo(seed: int = 0, **options: int) -> Splits:
    return Demo(DemoOptions(users=300, items=240, seed=seed, **options), context(Path())).load()


@cache
def default_world() -> Splits:
    return Demo(DemoOptions(), context(Path())).load()


def hit_ratio(scores: np.ndarray, rows: object) -> float:
    made = Ranked.of(rows, scores)  # type: ignore[arg-type]
    return float(((made.above == 0) / (made.tied + 1)).mean())


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    again = Demo(DemoOptions(users=300, items=240), context(Path())).load()
    assert again.fingerprint == demo().fingerprint
    assert (again.test.target == demo().test.target).all()
    assert demo(seed=1).fingerprint != demo().fingerprint


@settings(max_examples=10)
@given(st.lists(st.integers(0, 23), max_size=300), st.integers(0, 5))
def test_names_are_unique_and_have_no_separator(genres: list[int], seed: int) -> None:
    made = names(genres, seed)
    assert len(set(made)) == len(made) == len(genres)
    assert all(name == name.strip() and "::" not in name and name.isascii() for name in made)


def test_the_default_world_has_more_than_a_thousand_artists_with_short_names() -> None:
    titles = make_items(DemoOptions().items, 0).titles
    assert len(titles) > 1000
    assert all(len(title.split()) <= 2 for title in titles)


def test_words_that_two_names_share_tell_the_genre() -> None:
    items = make_items(600, 0)
    genres: dict[str, set[str]] = {}
    for title, genre in zip(items.titles, items.facts["genre"], strict=True):
        for word in title.split():
            genres.setdefault(word, set()).add(genre)
    assert [word for word, where in genres.items() if len(where) > 1] == ["The"]


def test_no_user_takes_an_artist_twice_and_lengths_are_as_asked() -> None:
    items = make_items(150, 3)
    sequences = make_sequences(World.of(items), [20, 33, 20, 40], 3)
    assert np.diff(sequences.offsets).tolist() == [20, 33, 20, 40]
    assert all(len(set(sequences[s].tolist())) == len(sequences[s]) for s in range(4))


def law_by_hand(world: World, history: list[int]) -> np.ndarray:
    """M(x | h) term by term, as the module docstring has it."""
    recent = history[::-1][:MEMORY]
    total = sum(FADE**j for j in range(len(recent)))
    taste = [sum(FADE**j for j, h in enumerate(recent) if world.genre[h] == g) / total for g in range(GENRES)]
    of_genre = [world.popularity[world.genre == g].sum() for g in range(GENRES)]
    out = np.zeros(len(world.genre))
    for x, g in enumerate(world.genre):
        beside = (taste[(g - 1) % GENRES] + taste[(g + 1) % GENRES]) / 2
        to_genre = (1 - DRIFT - ROAM) * taste[g] + DRIFT * beside + ROAM * of_genre[g]
        out[x] = (1 - FRIEND) * to_genre * world.popularity[x] / of_genre[g]
    for friend in world.friends[recent[0]]:
        out[friend] += FRIEND / FRIENDS
    return out


@settings(max_examples=15)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=14, unique=True), st.integers(0, 3))
def test_the_law_is_what_its_formula_says_and_a_distribution(history: list[int], pad: int) -> None:
    world = World.of(make_items(100, 0))
    got = world.next_item(np.array([[PAD] * pad + history]))
    assert got.sum() == pytest.approx(1)
    assert got[0] == pytest.approx(law_by_hand(world, history))
    assert world.next_item(np.array([[PAD] * 3]))[0] == pytest.approx(world.popularity)


def test_each_artist_has_three_different_friends_and_is_none_of_them() -> None:
    friends = World.of(make_items(200, 1)).friends
    assert all(len({i, *row}) == 4 for i, row in enumerate(friends.tolist()))


def test_users_follow_the_law_given_everything_they_took() -> None:
    """Probability integral transform: where the taken artist falls in its true distribution is uniform."""
    world = World.of(make_items(120, 2))
    sequences = make_sequences(world, [25] * 200, 2)
    u = np.random.default_rng(0)
    levels = []
    for s in range(200):
        items = sequences[s]
        for t in (1, 6, 14, 24):
            p = world.next_item(items[None, max(0, t - MEMORY) : t])[0]
            p[items[:t]] = 0
            upto = np.cumsum(p / p.sum())
            low = upto[items[t]] - p[items[t]] / p.sum()
            levels.append(low + u.random() * (upto[items[t]] - low))
    assert chisquare(np.histogram(levels, 10, (0, 1))[0]).pvalue > 1e-3


def test_the_split_is_leave_last_out() -> None:
    splits = demo()
    assert len(splits.valid) == len(splits.test) == len(splits.sequences) == 300
    assert splits.valid.user.tolist() == splits.test.user.tolist() == list(range(300))
    # the test row's history ends with the validation target, whose own history ends with the training sequence
    assert (splits.test.history[:, -1] == splits.valid.target).all()
    assert [splits.sequences[s][-1] for s in range(300)] == splits.valid.history[:, -1].tolist()
    assert not splits.known_train.has(splits.test.user, splits.test.target[:, None]).any()
    assert splits.known_all.has(splits.test.user, splits.test.target[:, None]).all()


def test_the_best_possible_is_far_above_popularity_and_below_one(tmp_path: Path) -> None:
    splits = default_world()
    rows = attach(splits, splits.test, n=20, known=splits.known_all)
    best, popular = BestPossible(None, context(tmp_path)), Popularity(None, context(tmp_path))
    best.fit(splits)
    popular.fit(splits)
    assert rows.candidates is not None
    figures = [hit_ratio(baseline.score(rows, rows.candidates), rows) for baseline in (popular, best)]
    assert 0.2 < figures[0] < 0.3
    assert 0.6 < figures[1] < 0.75


def test_the_best_possible_keeps_its_promise() -> None:
    """Its mean probability of the target within the list equals how often it is right (calibration)."""
    splits = default_world()
    rows = attach(splits, splits.test, n=20, known=splits.known_all)
    best = BestPossible(None, context(Path()))
    best.fit(splits)
    assert rows.candidates is not None
    scores = best.score(rows, rows.candidates)
    promised = (scores.max(axis=1) / scores.sum(axis=1)).mean()
    assert hit_ratio(scores, rows) == pytest.approx(promised, abs=3 * (0.25 / len(rows)) ** 0.5)


def test_the_best_possible_refuses_data_whose_law_is_not_known() -> None:
    splits = demo()
    best = BestPossible(None, context(Path()))
    other = Splits(**{**vars(splits), "name": "lastfm"})
    bare = Splits(**{**vars(splits), "items": ItemTable(splits.items.titles, splits.items.ids)})
    assert best.applies(splits)
    assert not best.applies(other)
    with pytest.raises(InputError, match="not known for data 'lastfm'"):
        best.fit(other)
    assert not best.applies(bare)


def test_lengths_that_contradict_each_other_are_an_error() -> None:
    with pytest.raises(InputError, match=r"longest \(10\) is below shortest \(20\)"):
        demo(longest=10)
