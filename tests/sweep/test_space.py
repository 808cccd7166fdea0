"""Words of ``--set``: ranges, choices, and what is refused."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.errors import InputError
from polo.sweep.space import Dimension, grid, space_of


def test_words_are_ranges_or_choices() -> None:
    assert space_of(["a.b=log(1e-5, 1e-3)", "c=int(1,8)", "d=uniform(-1,1)", "e=x,[1, 2],{use: y, k: 3},'p,q'"]) == [
        Dimension("a.b", low=1e-5, high=1e-3, log=True),
        Dimension("c", low=1, high=8, whole=True),
        Dimension("d", low=-1, high=1),
        Dimension("e", ("x", "[1, 2]", "{use: y, k: 3}", "'p,q'")),
    ]


@given(st.floats(1e-6, 1.0), st.floats(1.5, 1e4), st.integers(3, 20))
def test_law_points_of_a_log_range_have_equal_factors_and_keep_its_ends(low: float, factor: float, n: int) -> None:
    low, high = float(f"{low:.4g}"), float(f"{low * factor:.4g}")
    (one,) = space_of([f"lr=log({low},{high},{n})"])
    values = [float(choice) for choice in one.choices]
    assert (values[0], values[-1]) == (low, high)
    steps = [math.log(b / a) for a, b in itertools.pairwise(values)]
    assert max(steps) - min(steps) < 1e-4


def test_a_grid_is_every_combination_and_has_no_ranges() -> None:
    assert grid(space_of(["a=1,2", "b=x,y"])) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"},
    ]  # fmt: skip
    assert [one["k"] for one in grid(space_of(["k=int(1,9,3)"]))] == ["1", "5", "9"]
    with pytest.raises(InputError, match="b is a range"):
        grid(space_of(["a=1,2", "b=log(1,2)"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "something to choose"),
        (["a"], "no path and values"),
        (["a="], "no path and values"),
        (["a=1", "a=2"], "set twice"),
        (["a=1,,2"], "empty choice"),
        (["a=log(0,1)"], "no range from low to high"),
        (["a=uniform(2,1)"], "no range from low to high"),
        (["a=uniform(1)"], "not two numbers"),
        (["a=log(x,1)"], "not two numbers"),
        (["a=log(nan,1)"], "no range"),
        (["a=int(1.5,3)"], "not whole"),
        (["a=log(1,2,1)"], "no number of points"),
        (["a=log(1,2,3,4)"], "no range"),
        (["seed=0,1"], "cannot choose seed"),
        (["evaluate.split=test,valid"], "cannot choose evaluate.split"),
    ],
)
def test_what_is_no_space_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(words)
