"""Training documents of the small base model, as token ids. Knows windows over sequences; knows no model.

A document is a prompt with more titles than one: prefix, then for each title the bullet and the title's tokens. Every
title is trained as the completion of what stands before it: its tokens, then the end token. What follows a title in the
document is the next bullet, but the label there is the end token, as it is when the title completes a prompt.

Rows whose texts are their own give one document each: the prompt and its chosen answer, every token of which is learnt.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from polo import IntArray, Sequences

#: label of a position that predicts nothing (what cross entropy ignores)
NO_LABEL = -100


@dataclass(frozen=True)
class Words:
    """Token ids of everything that documents are made of.

    Args:
        prefix: what stands before the first bullet (begin mark, header).
        bullet: the separator before each title.
        titles: tokens of each item's title.
        end: the end token, label of the last token of each title.
    """

    prefix: IntArray
    bullet: IntArray
    titles: Sequence[IntArray]
    end: int

    def document(self, items: IntArray) -> tuple[IntArray, IntArray]:
        """Token ids and labels, both ``[T]``.

        Example:
            >>> words = Words(np.array([1]), np.array([5]), [np.array([7]), np.array([8, 9])], end=2)
            >>> [x.tolist() for x in words.document(np.array([1, 0]))]
            [[1, 5, 8, 9, 5, 7], [-100, 8, 9, 2, 7, 2]]
        """
        ids, labels = [self.prefix], [np.full(len(self.prefix) + len(self.bullet) - 1, NO_LABEL)]
        for item in items:
            title = self.titles[item]
            ids += [self.bullet, title]
            labels += [title, np.array([self.end]), np.full(len(self.bullet) - 1, NO_LABEL)]
        flat = np.concatenate(ids)
        return flat, np.concatenate(labels)[: len(flat)]


@runtime_checkable
class Documents(Protocol):
    """What a base is trained on."""

    def epoch(self, rng: np.random.Generator) -> Sequence[tuple[IntArray, IntArray]]:
        """Token ids and labels, both ``[T]``, of every document of one pass over the data."""


@dataclass(frozen=True)
class Titles:
    """Windows over whole sequences of a catalogue's items.

    Args:
        words: token ids of prefix, bullet and titles.
        sequences: training sequences.
        longest, skip: see :func:`windows`.
    """

    words: Words
    sequences: Sequences
    longest: int
    skip: float

    def epoch(self, rng: np.random.Generator) -> list[tuple[IntArray, IntArray]]:
        return [self.words.document(window) for window in windows(self.sequences, self.longest, self.skip, rng)]


@dataclass(frozen=True)
class Whole:
    """Texts as they are, cut where they are longer than a step holds; every token is predicted from those before it.

    Example:
        >>> [[x.tolist() for x in one] for one in Whole([np.array([1, 5, 6, 7, 2])], 3).epoch(np.random.default_rng(0))]
        [[[1, 5, 6], [5, 6, 7]], [[7], [2]]]
    """

    texts: Sequence[IntArray]
    longest: int

    def epoch(self, rng: np.random.Generator) -> list[tuple[IntArray, IntArray]]:
        return [
            (ids[start : start + self.longest + 1][:-1], ids[start + 1 : start + self.longest + 1])
            for ids in self.texts
            for start in range(0, len(ids) - 1, self.longest)
        ]


def earlier(sequences: Sequences, hold: float) -> Sequences:
    """The sequences without the latest ``hold`` of each, rounded up; users and order stay.

    Example:
        >>> found = earlier(Sequences.of([7, 8], [[1, 2, 3, 4, 5, 6], [9]]), 0.2)
        >>> [found[s].tolist() for s in range(2)]
        [[1, 2, 3, 4], []]
    """
    if not hold:
        return sequences
    lists = [sequences[s] for s in range(len(sequences))]
    kept = [items[: len(items) - math.ceil(hold * len(items))].tolist() for items in lists]
    return Sequences.of(sequences.user.tolist(), kept)


def windows(sequences: Sequences, longest: int, skip: float, rng: np.random.Generator) -> Iterator[IntArray]:
    """One epoch: every sequence cut into windows of at most ``longest`` items, from a random offset.

    Args:
        sequences: whole training sequences.
        longest: most items of a window.
        skip: share of items left out at random before cutting.
        rng: where offsets and omissions come from.
    """
    for s in range(len(sequences)):
        items = sequences[s]
        kept = items[rng.random(len(items)) >= skip]
        cuts = [0, *range(1 + int(rng.integers(longest)), len(kept), longest), len(kept)]
        for start, stop in itertools.pairwise(cuts):
            if stop > start:
                yield kept[start:stop]


def batches(
    documents: Sequence[tuple[IntArray, IntArray]], tokens: int, pad: int, rng: np.random.Generator
) -> Iterator[tuple[IntArray, IntArray]]:
    """Padded batches of documents of like length, in random order: ids, labels, both ``[b, T]``, ``b * T <= tokens``.

    Padding is on the right and no label looks at it, so no attention mask is needed.
    """
    lengths = np.array([len(ids) for ids, _ in documents])
    order = np.lexsort((rng.random(len(documents)), lengths))
    groups: list[list[int]] = [[]]
    for i in order:
        if groups[-1] and (len(groups[-1]) + 1) * lengths[i] > tokens:
            groups.append([])
        groups[-1].append(int(i))
    for g in rng.permutation(len(groups)):
        group = groups[g]
        width = int(lengths[group].max())
        ids, labels = np.full((len(group), width), pad), np.full((len(group), width), NO_LABEL)
        for row, i in enumerate(group):
            ids[row, : lengths[i]], labels[row, : lengths[i]] = documents[i]
        yield ids, labels
