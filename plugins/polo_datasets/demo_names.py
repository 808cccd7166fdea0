"""Invented artist names: words put together from syllables, names from words. Knows genre numbers and nothing else.

As in real music, each genre has a few words that its artists like, so a name says something of what it stands for.
Few syllables and a limited stock of words, so that a small tokenizer learned on the names needs 1 to 3 tokens a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from polo import RowRandom

_ONSETS: Final = ("b", "d", "dr", "f", "g", "h", "k", "kr", "l", "m", "n", "p", "r", "s", "sh", "t", "tr", "v", "z")
_VOWELS: Final = ("a", "e", "i", "o", "u")
_CODAS: Final = ("", "", "l", "n", "r", "s")
#: words that a genre's artists like
_GENRE_WORDS: Final = 3
#: shares of the forms "Genreword Word" and "The Word"; the rest is "Word" alone
_FORMS: Final = (0.60, 0.08)


def words(count: int, seed: int) -> list[str]:
    """``count`` different words of two or three syllables, capitalised."""
    found: dict[str, None] = {}
    rng = RowRandom(seed, "demo words")
    number = 0
    while len(found) < count:
        u = rng.uniform(np.array([number]), 8)[0]
        number += 1
        syllables = 2 if u[7] < 0.85 else 3
        letters = []
        for s in range(syllables):
            letters += [_ONSETS[int(u[2 * s] * len(_ONSETS))], _VOWELS[int(u[2 * s + 1] * len(_VOWELS))]]
        letters.append(_CODAS[int(u[6] * len(_CODAS))])
        found.setdefault("".join(letters).capitalize())
    return list(found)


def names(genres: Sequence[int], seed: int) -> list[str]:
    """A different name for each artist, given the artists' genres.

    Example:
        >>> len(set(names([0, 1, 2, 0], seed=0)))
        4
    """
    liked = (max(genres, default=-1) + 1) * _GENRE_WORDS
    stock = words(liked + len(genres), seed)
    u = RowRandom(seed, "demo names").uniform(np.arange(len(genres)), 2)
    out = []
    for i, genre in enumerate(genres):
        own = stock[liked + i]
        if u[i, 0] < _FORMS[0]:
            out.append(f"{stock[genre * _GENRE_WORDS + int(u[i, 1] * _GENRE_WORDS)]} {own}")
        elif u[i, 0] < sum(_FORMS):
            out.append(f"The {own}")
        else:
            out.append(own)
    return out
