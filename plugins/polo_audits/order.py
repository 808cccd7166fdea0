"""Is there time in the sequences? One global order of the items that explains all of them says no.

Knows item numbers only. Sequences sorted by item number, by name or by date of release all look alike here: there is
an order of the catalogue by which nearly every step of every sequence goes forwards.
"""

from __future__ import annotations

import heapq
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from polo import Audited, Context, Finding, FloatArray, IntArray, Sequences
from polo_audits.figures import percent

#: neighbouring pairs that are looked at; whole sequences beyond them are left out
_PAIRS: Final = 200_000
#: of the Bradley-Terry fit: weight of s^2 / 2, and steps
_SHRINKAGE: Final = 1e-3
_ITERATIONS: Final = 100
#: times that each item is moved to its best place
_SWEEPS: Final = 4
#: how much of what shuffled sequences leave unexplained the order explains: from here on it warns, and fails
WARN: Final = 0.6
FAIL: Final = 0.9
#: fewer steps than this against the order in the shuffled sequences say nothing
_NEEDED: Final = 20


class Order:
    """Share of neighbouring pairs that agree with the best global order found, against shuffled sequences.

    An edge a -> b for each item b that follows item a. If the graph has no cycle, one order explains everything. The
    best order (a minimum feedback arc set) is hard to find, so two orders are made, improved by moving single
    items, and the better one counts: exact where there is no cycle, sources and sinks are taken off, then the item with
    the largest surplus of edges out (Eades, Lin & Smyth 1993, doi 10.1016/0020-0190(93)90079-O); robust where there is
    noise, items stand by their strength s in a fit of P(a before b) = sigmoid(s_b - s_a) (Bradley & Terry 1952,
    doi 10.2307/2334029).
    Few pairs over many items are easily put in order, so the same is done with each sequence shuffled; judged is
    explained = (share - shuffled) / (1 - shuffled).
    """

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        if not audited.splits.train.window:
            return Finding(
                None, "ok", "The rows show no history: what a user took is a set, and its order means nothing."
            )
        n_items, sequences = len(audited.splits.items), _head(audited.splits.sequences)
        before, after = neighbours(sequences, sequences.items)
        if not len(before):
            return Finding(
                None, "ok", "The training sequences hold no two neighbouring items, so no order can be seen."
            )
        share = explained(before, after, n_items)
        rng = np.random.Generator(np.random.PCG64(0))
        owner = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))
        shuffled = sequences.items[np.lexsort((rng.random(len(owner)), owner))]
        null_before, null_after = neighbours(sequences, shuffled)
        null = explained(null_before, null_after, n_items)
        if (1 - null) * len(null_before) < _NEEDED:
            return Finding(share, "ok", f"{len(before):,} neighbouring pairs are too few to tell an order from chance.")
        beyond = (share - null) / (1 - null)
        verdict = "fail" if beyond >= FAIL else "warn" if beyond >= WARN else "ok"
        extent = "explains all sequences" if share == 1 else f"agrees with {percent(share)} of the steps"
        meaning = (
            f"One global order of the items {extent} ({len(before):,} neighbouring pairs; {percent(null)} if each "
            "sequence is shuffled)"
        )
        if verdict == "ok":
            return Finding(share, "ok", f"{meaning}, so the sequences are not just a sorted catalogue.")
        return Finding(
            share,
            "fail" if verdict == "fail" else "warn",
            f"{meaning}: sequences are sorted by item, 'next' means next in that order, and counting which item "
            "follows which beats models.",
            "take data with timestamps (for LastFM: data.form=hetrec), and read numbers on this set beside `markov`",
        )


class Ties:
    """Share of neighbouring events of a user with the same timestamp: their order is the file's. Warns at most."""

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        tied = audited.splits.tied_times
        if tied is None:
            return Finding(None, "ok", "The data comes without timestamps, so there are no ties to count.")
        meaning = f"{percent(tied)} of neighbouring events of a user have one and the same timestamp"
        # from a tenth on, about every other window of 5 or more items holds a tie: 1 - 0.9^6 = 0.47
        if tied < 0.1:
            return Finding(tied, "ok", f"{meaning}.")
        return Finding(
            tied,
            "warn",
            f"{meaning}: within a tie, 'next' means next in the file.",
            "read rank-1 figures with care, or evaluate on data with finer timestamps",
        )


def _head(sequences: Sequences) -> Sequences:
    """The first sequences, up to the number of pairs that is looked at."""
    count = max(1, int(np.searchsorted(sequences.offsets, _PAIRS, side="right")) - 1)
    if count >= len(sequences):
        return sequences
    end = sequences.offsets[count]
    return Sequences(sequences.user[:count], sequences.items[:end], sequences.offsets[: count + 1])


def neighbours(sequences: Sequences, items: IntArray) -> tuple[IntArray, IntArray]:
    """Each item and the one after it in the same sequence; pairs of one item with itself are left out."""
    owner = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))
    kept = (owner[1:] == owner[:-1]) & (items[1:] != items[:-1])
    return items[:-1][kept], items[1:][kept]


def explained(before: IntArray, after: IntArray, n_items: int) -> float:
    """Share of the pairs that go forwards in the best order found; 1.0 exactly if the graph has no cycle.

    Example:
        >>> explained(np.array([2, 0, 0]), np.array([0, 1, 1]), 3)
        1.0
        >>> explained(np.array([0, 1, 1]), np.array([1, 0, 0]), 2) == 2 / 3
        True
    """
    codes, weight = np.unique(before * n_items + after, return_counts=True)
    source, sink = codes // n_items, codes % n_items
    total = weight.sum()
    place = np.empty(n_items, np.int64)
    place[_peeled(source, sink, weight, n_items)] = np.arange(n_items)
    share = float(weight[place[source] < place[sink]].sum() / total)
    if share == 1.0:
        return share
    for start in (place.astype(np.float64), _strengths(source, sink, weight, n_items)):
        better = _improved(start, source, sink, weight, n_items)
        share = max(share, float(weight[better[source] < better[sink]].sum() / total))
    return share


def _improved(place: FloatArray, source: IntArray, sink: IntArray, weight: IntArray, n_items: int) -> FloatArray:
    """Moves one item after the other to the place where most of its pairs agree, a few times over."""
    ends, other = np.concatenate([source, sink]), np.concatenate([sink, source])
    # +w for a neighbour that should stand behind the item, -w for one that should stand before it
    signed = np.concatenate([weight, -weight]).astype(np.float64)
    order = np.argsort(ends, kind="stable")
    other, signed = other[order], signed[order]
    starts = np.searchsorted(ends[order], np.arange(n_items + 1)).tolist()
    for _ in range(_SWEEPS):
        place = np.argsort(np.argsort(place, kind="stable"), kind="stable").astype(np.float64)
        for i in range(n_items):
            low, high = starts[i], starts[i + 1]
            if low == high:
                continue
            near = place[other[low:high]]
            ranked = near.argsort()
            # passing a neighbour on the way back loses what should stand behind and wins what should stand before
            agreed = np.concatenate([[0.0], -np.cumsum(signed[low:high][ranked])])
            best, here = int(agreed.argmax()), int(np.searchsorted(near[ranked], place[i]))
            if agreed[best] > agreed[here]:
                edges = near[ranked]
                left = edges[best - 1] if best else edges[0] - 1.0
                right = edges[best] if best < len(edges) else edges[-1] + 1.0
                place[i] = (left + right) / 2
    return place


def _strengths(source: IntArray, sink: IntArray, weight: IntArray, n_items: int) -> FloatArray:
    """Bradley-Terry strengths that make the pairs likely, with a little shrinkage so that they stay finite."""

    def loss(s: FloatArray) -> tuple[float, FloatArray]:
        gap = s[sink] - s[source]
        slope = -weight * expit(-gap)
        gradient = np.bincount(sink, slope, n_items) - np.bincount(source, slope, n_items) + _SHRINKAGE * s
        return float(weight @ np.logaddexp(0, -gap) + 0.5 * _SHRINKAGE * s @ s), gradient

    found = minimize(loss, np.zeros(n_items), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    strengths: FloatArray = found.x
    return strengths


def _peeled(source: IntArray, sink: IntArray, weight: IntArray, n_items: int) -> IntArray:
    """Sources go to the front, sinks to the back, else the item with the largest surplus of edges out to the front."""
    forwards, backwards = _adjacent(source, sink, weight, n_items), _adjacent(sink, source, weight, n_items)
    out = np.bincount(source, weight, n_items).astype(np.int64).tolist()
    into = np.bincount(sink, weight, n_items).astype(np.int64).tolist()
    alive = [True] * n_items
    sources = [i for i in range(n_items) if not into[i]]
    sinks = [i for i in range(n_items) if not out[i] and into[i]]
    surplus = [(into[i] - out[i], i) for i in range(n_items)]
    heapq.heapify(surplus)
    front: list[int] = []
    back: list[int] = []

    def take(i: int) -> None:
        alive[i] = False
        for j, w in forwards[i]:
            if alive[j]:
                into[j] -= w
                if not into[j]:
                    sources.append(j)
                heapq.heappush(surplus, (into[j] - out[j], j))
        for j, w in backwards[i]:
            if alive[j]:
                out[j] -= w
                if not out[j]:
                    sinks.append(j)
                heapq.heappush(surplus, (into[j] - out[j], j))

    while True:
        if sources:
            if alive[i := sources.pop()]:
                front.append(i)
                take(i)
        elif sinks:
            if alive[i := sinks.pop()]:
                back.append(i)
                take(i)
        elif surplus:
            # entries that are no longer true are passed over: the newest of an item came with its newest surplus
            value, i = heapq.heappop(surplus)
            if alive[i] and value == into[i] - out[i]:
                front.append(i)
                take(i)
        else:
            return np.array(front + back[::-1], np.int64)


def _adjacent(source: IntArray, sink: IntArray, weight: IntArray, n_items: int) -> list[list[tuple[int, int]]]:
    """For each item its neighbours and how often each follows."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(n_items)]
    for a, b, w in zip(source.tolist(), sink.tolist(), weight.tolist(), strict=True):
        found[a].append((b, w))
    return found
