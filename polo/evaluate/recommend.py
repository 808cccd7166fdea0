"""Recommends from a finished run: titles in, ranked titles out. Knows titles, rows and scores; no terminal."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from polo.data import PAD, FloatArray, IntArray, ItemTable, Ragged, Rows
from polo.errors import InputError, PoloError
from polo.protocols import Chooses, Policy, Scorer, Top, TopItems
from polo.words import listing

#: likeness (difflib ratio) from which on a title is taken for what was meant, and from which on it is suggested
TAKEN: Final = 0.85
SUGGESTED: Final = 0.55


@dataclass(frozen=True)
class Matched:
    """Items that were meant, and what was written where it was not a title letter by letter."""

    items: IntArray
    guessed: tuple[tuple[str, str], ...]


def normalised(title: str) -> str:
    """A title without case and extra space."""
    return " ".join(title.casefold().split())


def by_title(items: ItemTable) -> dict[str, int]:
    """Normalised title -> item; the first of those that are alike."""
    found: dict[str, int] = {}
    for number, title in enumerate(items.titles):
        found.setdefault(normalised(title), number)
    return found


def match_titles(
    written: Sequence[str],
    items: ItemTable,
    where: str,
    known: dict[str, int] | None = None,
    guesses: int | None = None,
) -> Matched:
    """The items that a person means.

    A text is a title without regard to case and space; else the one title that is very like it or holds it.

    Args:
        written: texts.
        items: the catalogue.
        where: how errors call the texts.
        known: :func:`by_title` of the catalogue, for who asks often.
        guesses: most texts that are compared with all titles, each of which takes long; ``None``: all.

    Raises:
        InputError: nothing is like it enough, or several titles are; suggests titles. Or too many are no titles.

    Example:
        >>> table = ItemTable(["Boards of Canada", "Björk"], ["0", "1"])
        >>> match_titles(["bjork", "boards of canada"], table, "--history").items.tolist()
        [1, 0]
    """
    known = by_title(items) if known is None else known
    found: list[int] = []
    guessed: list[tuple[str, str]] = []
    for text in written:
        wanted = normalised(text)
        if wanted in known:
            found.append(known[wanted])
        else:
            if guesses is not None and len(guessed) >= guesses:
                raise InputError(f"more than {guesses} texts are no titles, such as {text!r}", where=where,
                                 fix="write titles as the catalogue has them")  # fmt: skip
            found.append(_like(text, wanted, known, items, where))
            guessed.append((text, items.titles[found[-1]]))
    return Matched(np.array(found, np.int64), tuple(guessed))


def _like(text: str, wanted: str, by_title: dict[str, int], items: ItemTable, where: str) -> int:
    near = difflib.get_close_matches(wanted, by_title, n=5, cutoff=SUGGESTED)
    likeness = [difflib.SequenceMatcher(None, title, wanted).ratio() for title in near]
    clear = len(likeness) == 1 or (len(likeness) > 1 and likeness[0] > likeness[1])
    # of short titles one wrong letter is a large part
    if near and clear and likeness[0] >= min(TAKEN, 1 - 1.5 / max(len(wanted), 5)):
        return by_title[near[0]]
    inside = [title for title in by_title if wanted and wanted in title]
    if len(inside) == 1:
        return by_title[inside[0]]
    hints = [items.titles[by_title[title]] for title in dict.fromkeys([*near, *inside])][:5]
    fix = f"did you mean: {'; '.join(hints)}?" if hints else f"titles are such as: {listing(items.titles, 5)}"
    raise InputError(f"no title is {text!r}", where=where, fix=fix)


def asked(policy: Policy, history: IntArray, window: int, candidates: IntArray) -> Rows:
    """One row with this history, whose target is of no account.

    Args:
        policy: a trained policy.
        history: items, oldest first; the last ``window`` are shown.
        window: how many items the policy was trained to see; 0 where its rows show none.
        candidates: ``[n]`` different items.
    """
    shown = np.full((1, window), PAD, np.int64)
    last = history[max(0, len(history) - window) :]
    shown[0, window - len(last) :] = last
    listed = candidates[None] if policy.pool == "candidates" else None
    return Rows(np.full(1, PAD), np.full(1, PAD), shown, candidates[:1], listed)


def together(rows: Sequence[Rows]) -> Rows:
    """Rows by :func:`asked` as one, where none shows a list."""
    return Rows(
        np.concatenate([one.id for one in rows]),
        np.concatenate([one.user for one in rows]),
        np.concatenate([one.history for one in rows]),
        np.concatenate([one.target for one in rows]),
    )


def best(policy: Policy, rows: Rows, k: int, known: Sequence[IntArray], nodes: int | None = None) -> Top:
    """The ``k`` best items of the catalogue for each row, found by the policy itself, which need not score them all.

    Args:
        policy: follows :class:`~polo.protocols.TopItems`; is put into eval mode and back.
        rows: B rows.
        k: places.
        known: B lists of items that are left out.
        nodes: where the policy must stop, see ``TopItems``.
    """
    if not isinstance(policy, TopItems):
        raise TypeError(f"{type(policy).__name__} does not find its best items itself")
    training = policy.module.training
    policy.module.eval()
    try:
        return policy.top_items(rows, k, without=Ragged.of([one.tolist() for one in known]), nodes=nodes)
    finally:
        policy.module.train(training)


def rank(scorer: Scorer, policy: Policy, row: Rows, candidates: IntArray) -> tuple[IntArray, FloatArray]:
    """Candidates ``[n]`` of one row from best to worst, and their softmax over all candidates."""
    scores = scorer.score(policy, row, candidates[None])[0][0]
    order = np.argsort(-scores, kind="stable")
    weight = np.exp(scores - scores.max())
    return candidates[order], (weight / weight.sum())[order]


def decoder(scorer: Scorer, others: Sequence[str]) -> Chooses:
    """The scorer as one that decodes.

    Args:
        scorer: the chosen one.
        others: names of scorers that decode.

    Raises:
        InputError: it only scores.
    """
    if isinstance(scorer, Chooses):
        return scorer
    raise InputError(
        "this scorer ranks candidates, it does not decode one",
        where="--decode",
        fix=" or ".join(["drop --decode", *(f"choose --scorer {name}" for name in others)]),
    )


def decode(scorer: Chooses, policy: Policy, row: Rows, candidates: IntArray) -> int:
    """The candidate ``[n]`` of one row that constrained decoding arrives at.

    Raises:
        PoloError: it arrived at none (the model's limit of positions cut the answer short).
    """
    column = int(scorer.choose(policy, row, candidates[None])[0])
    if column < 0:
        raise PoloError("the decoder wrote no candidate", where="--decode", fix="drop --decode to rank them all")
    return int(candidates[column])
