"""The generated world: artists, and the law by which users go from one to the next. Knows no split and no file.

The law, for a user who took h_1 (latest), h_2, ... before, of which the last MEMORY = 10 count:

    taste_g   = sum_j FADE^(j-1) [genre(h_j) = g] / sum_j FADE^(j-1)                a moving average: taste drifts
    next_g    = (1 - DRIFT - ROAM) taste_g + DRIFT sum_g' taste_g' D[g', g] + ROAM popularity_g
    M(x | h)  = FRIEND A[h_1, x] + (1 - FRIEND) next_genre(x) popularity_x / popularity_genre(x)
    P(x | h, everything taken so far) = M(x | h) [x not yet taken] / (sum over all x' not yet taken of M(x' | h))

D leads from a genre to its two neighbours on a ring, A from an artist to each of its 3 friends. Popularity is Zipf's.
Because the divisor is one number for all x, the true order of any artists not yet taken is that of M, which depends on
the last 10 artists alone: the best possible ranking is known exactly from a shown history of 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from polo import PAD, FloatArray, IntArray, ItemTable, RowRandom, Sequences
from polo_datasets.demo_names import names

#: how many of the latest artists the next one depends on
MEMORY: Final = 10
GENRES: Final = 24
FRIENDS: Final = 3
FADE: Final = 0.7
DRIFT: Final = 0.08
ROAM: Final = 0.08
FRIEND: Final = 0.08
# Chosen so that, with 20 candidates, popularity earns HR@1 0.28 and the law itself 0.70: room for a model between them.
#: popularity ~ 1 / (rank + SHIFT)^SKEW
SKEW: Final = 1.3
SHIFT: Final = 4.0


@dataclass(frozen=True)
class World:
    """The artists and their relations: all that the law needs.

    Args:
        genre: int64 ``[n]``.
        popularity: float64 ``[n]``, sums to 1.
        friends: int64 ``[n, 3]``, artists of the same or a neighbouring genre.
    """

    genre: IntArray
    popularity: FloatArray
    friends: IntArray

    @classmethod
    def of(cls, items: ItemTable) -> World:
        """The world that a demo item table tells of.

        Raises:
            KeyError: another table.
        """
        return cls(
            np.array(items.facts["genre"], dtype=np.int64),
            np.array(items.facts["popularity"], dtype=np.float64),
            np.array([row.split("|") for row in items.facts["friends"]], dtype=np.int64),
        )

    def next_item(self, history: IntArray) -> FloatArray:
        """M(x | h) for all artists.

        Args:
            history: int64 ``[B, H]``, oldest first, right-aligned, padded with ``PAD``; all ``PAD``: popularity.

        Returns:
            float64 ``[B, n]``, each row sums to 1.
        """
        recent = history[:, -MEMORY:]
        shown = recent != PAD
        fade = FADE ** np.arange(recent.shape[1] - 1, -1, -1) * shown
        genres = self.genre[np.where(shown, recent, 0)]
        taste = np.zeros((len(recent), GENRES))
        for column in range(recent.shape[1]):
            taste[np.arange(len(recent)), genres[:, column]] += fade[:, column]
        of_genre = np.bincount(self.genre, self.popularity, GENRES)
        total = taste.sum(axis=1, keepdims=True)
        taste = np.where(total > 0, taste / np.maximum(total, 1e-300), of_genre)
        drifted = (np.roll(taste, 1, axis=1) + np.roll(taste, -1, axis=1)) / 2
        next_genre = (1 - DRIFT - ROAM) * taste + DRIFT * drifted + ROAM * of_genre
        out = (1 - FRIEND) * next_genre[:, self.genre] * (self.popularity / of_genre[self.genre])
        latest = recent[:, -1]
        some = np.flatnonzero(latest != PAD)
        for column in range(FRIENDS):
            out[some, self.friends[latest[some], column]] += FRIEND / FRIENDS
        out[~shown.any(axis=1)] = self.popularity
        return out


def make_items(count: int, seed: int) -> ItemTable:
    """Artists with names, genres, popularity and friends (facts, as text)."""
    rng = RowRandom(seed, "demo artists")
    numbers = np.arange(count)
    u = rng.uniform(numbers, 3)
    rank = np.argsort(np.argsort(u[:, 0], kind="stable"), kind="stable")
    genre = np.argsort(np.argsort(u[:, 1], kind="stable"), kind="stable") % GENRES
    weight = (rank + SHIFT) ** -SKEW
    popularity = weight / weight.sum()
    # two thirds of the artists have their friends in their own genre, the others in a neighbouring one
    step = np.where(u[:, 2] < 1 / 6, -1, np.where(u[:, 2] < 1 / 3, 1, 0))
    friends = np.zeros((count, FRIENDS), np.int64)
    for i in range(count):
        near = numbers[(genre == (genre[i] + step[i]) % GENRES) & (numbers != i)]
        order = np.argsort(rng.child("friends").uniform(np.array([i]), len(near))[0], kind="stable")
        friends[i] = near[order[:FRIENDS]]
    return ItemTable(
        names(genre.tolist(), seed),
        [f"a{i}" for i in range(count)],
        {
            "genre": [str(g) for g in genre.tolist()],
            "popularity": [repr(p) for p in popularity.tolist()],
            "friends": ["|".join(map(str, row)) for row in friends.tolist()],
        },
    )


def make_sequences(world: World, lengths: Sequence[int], seed: int) -> Sequences:
    """One sequence for each length, by the law; no artist twice in one sequence."""
    users, longest = np.arange(len(lengths)), max(lengths)
    taken = np.full((len(lengths), longest), PAD, np.int64)
    u = RowRandom(seed, "demo users").uniform(users, longest)
    free = np.ones((len(lengths), len(world.genre)))
    for t in range(longest):
        history = taken[:, max(0, t - MEMORY) : t] if t else np.full((len(lengths), 1), PAD, np.int64)
        mass = np.cumsum(world.next_item(history) * free, axis=1)
        chosen = (mass <= u[:, t, None] * mass[:, -1:]).sum(axis=1)
        taken[:, t] = chosen
        free[users, chosen] = 0
    return Sequences.of(users.tolist(), [taken[i, :length].tolist() for i, length in enumerate(lengths)])
