"""Titles as people write them, and ranking in blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import InputError, ItemTable
from polo.engine import recommend
from polo.engine.recommend import match_titles, rank
from tests.engine.toys import ToyPolicy

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


def test_law_blocks_do_not_change_the_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, history, everything = ToyPolicy(), np.array([3, 8, 1]), np.arange(40)
    whole_items, whole_p = rank(policy, history, 5, everything, 1000)
    monkeypatch.setattr(recommend, "_BLOCK", 7)
    items, p = rank(policy, history, 5, everything, 1000)
    assert items.tolist() == whole_items.tolist()
    assert p == pytest.approx(whole_p)
    assert p.sum() == pytest.approx(1)
    assert (np.diff(p) <= 0).all()
