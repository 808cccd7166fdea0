"""Titles as people write them, ranking, and decoding one title."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import Context, InputError, ItemTable, PoloError, Rows
from polo.evaluate.recommend import asked, decode, decoder, match_titles, rank
from polo.model.scoring import PolicyScorer, PolicyScorerOptions
from tests.toy_policy import ToyPolicy

TITLES = ["Boards of Canada", "Björk", "Radiohead", "The Beatles", "Beatles Revival Band", "Muse"]
TABLE = ItemTable(TITLES, TITLES)


@given(st.sampled_from(range(len(TITLES))), st.booleans(), st.integers(0, 3))
def test_law_case_and_space_do_not_matter(item: int, upper: bool, spaces: int) -> None:
    title = TITLES[item].upper() if upper else TITLES[item].lower()
    found = match_titles([" " * spaces + title.replace(" ", "  ")], TABLE, "")
    assert (found.items.tolist(), found.guessed) == ([item], ())


@pytest.mark.parametrize(
    ("written", "meant"),
    [("bjork", "Björk"), ("radiohed", "Radiohead"), ("boards", "Boards of Canada"), ("mus", "Muse")],
)
def test_slips_are_taken_and_told(written: str, meant: str) -> None:
    found = match_titles([written], TABLE, "")
    assert TITLES[int(found.items[0])] == meant
    assert found.guessed == ((written, meant),)


def test_what_may_be_several_titles_is_asked_back() -> None:
    with pytest.raises(InputError, match=r"did you mean: .*The Beatles"):
        match_titles(["beatles"], TABLE, "--history")


class Table:
    """A scorer whose score of an item is its number's sine; it decodes the column that it is told to."""

    def __init__(self, column: int = 0) -> None:
        self.column = column

    def score(self, policy: Any, rows: Rows, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sin(candidates.astype(float)), np.ones_like(candidates)

    def choose(self, policy: Any, rows: Rows, candidates: np.ndarray) -> np.ndarray:
        return np.full(len(rows), self.column)


ROW = asked(ToyPolicy(), np.array([3, 8, 1]), 5, np.arange(40))


def test_the_row_shows_the_last_items_of_the_history() -> None:
    assert ROW.history.tolist() == [[-1, -1, 3, 8, 1]]
    assert asked(ToyPolicy(), np.arange(7), 5, np.arange(9)).history.tolist() == [[2, 3, 4, 5, 6]]


def test_rows_that_show_nothing_are_asked_for_with_nothing_shown() -> None:
    assert asked(ToyPolicy(), np.array([3, 8, 1]), 0, np.arange(40)).history.shape == (1, 0)


@given(st.permutations(range(20)))
def test_law_the_order_of_candidates_does_not_change_the_ranking(order: list[int]) -> None:
    items, p = rank(Table(), ToyPolicy(), ROW, np.array(order))
    assert items.tolist() == sorted(range(20), key=lambda i: -np.sin(i))
    assert p.sum() == pytest.approx(1)
    assert (np.diff(p) <= 0).all()


def test_the_decoded_column_is_that_candidate() -> None:
    assert decode(Table(2), ToyPolicy(), ROW, np.array([7, 5, 9])) == 9


def test_decoding_without_an_answer_or_without_a_decoder_is_an_error() -> None:
    with pytest.raises(PoloError, match="wrote no candidate"):
        decode(Table(-1), ToyPolicy(), ROW, np.array([7, 5, 9]))
    scorer = PolicyScorer(PolicyScorerOptions(), Context(seed=0, cache=Path(), build=lambda choice: None))
    with pytest.raises(InputError, match=r"does not decode(.|\n)*drop --decode or choose --scorer other"):
        decoder(scorer, ["other"])
    assert decoder(table := Table(2), ["other"]) is table
