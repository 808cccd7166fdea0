"""Checks by name: which there are, what is expected to fail, and objects that nobody declared."""

from __future__ import annotations

import pytest
import torch

from polo import InputError
from polo.errors import RecipeError
from polo.testing import check_beta, check_component, check_loss, check_sampler, parametrize_with_checks, small_splits
from polo.testing.stand_ins import StandInLoss, StandInSampler
from polo.testing.world import context
from tests.testing.broken_training import LOSSES, SAMPLERS


@parametrize_with_checks("scorer", "policy")
def test_the_decorator_makes_a_test_of_each_check(check) -> None:
    check()


TWICE = """
from polo import Component, hookimpl
from polo.testing.stand_ins import StandInSampler

class Twice(StandInSampler):
    \"\"\"Draws each item twice.\"\"\"
    def draw(self, rows, rng, peek):
        draw = super().draw(rows, rng, peek)
        items, valid = draw.items[:, [0, 0, 1, 1]], draw.valid[:, [0, 0, 1, 1]]
        return type(draw)(items, valid)

@hookimpl
def polo_negative_samplers():
    return [Component(name="twice", build=":Twice", summary="twice"),
            Component(name="again", build=":Twice", summary="twice", tags=("with_replacement",))]
"""


@pytest.fixture
def twice(tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(TWICE)
    return path


def failing(checks) -> list[str]:
    found = []
    for check in checks:
        try:
            check()
        except AssertionError:
            found.append(check.name)
    return found


def test_a_sampler_may_draw_with_replacement_when_it_says_so(twice) -> None:
    assert failing(check_component("sampler", "twice", files=[twice])) == ["draws_different_items"]
    assert failing(check_component("sampler", "again", files=[twice])) == []


def test_what_is_expected_to_fail_is_so_with_its_reason(twice) -> None:
    mark = parametrize_with_checks(
        "sampler", ["twice", "again"], expected_failed={"draws_different_items": "on purpose"}, files=[twice]
    )
    names, cases = mark.mark.args
    assert names == "check"
    assert len(cases) == 2 * len(list(check_component("sampler", "twice", files=[twice])))
    excused = [case for case in cases if case.marks]
    assert [case.id for case in excused] == [
        "sampler/twice:draws_different_items",
        "sampler/again:draws_different_items",
    ]
    (xfail,) = excused[0].marks
    assert (xfail.name, xfail.kwargs) == ("xfail", {"reason": "on purpose", "strict": True})


@pytest.mark.parametrize(
    ("excused", "error"),
    [({"draws_item": "x"}, "did you mean 'draws_items'"), ({"draws_items": " "}, "without a reason")],
)
def test_an_excuse_names_a_check_and_gives_a_reason(twice, excused, error) -> None:
    with pytest.raises(InputError, match=error):
        parametrize_with_checks("sampler", "twice", expected_failed=excused, files=[twice])


def test_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(InputError, match="unknown sampler 'unifrom'"):
        check_component("sampler", "unifrom")


def test_options_are_written_as_in_a_recipe_and_a_stand_in_takes_the_place_of_a_component() -> None:
    for options in ({}, {"from": {"use": "uniform", "k": 5}, "n": 2}):
        assert failing(check_component("sampler", "hard", options)) == []
    wrong = {check.name: check for check in check_component("sampler", "hard", {"n": 0})}
    with pytest.raises(RecipeError, match=r"sampler\.n: found number 0"):
        wrong["builds"]()


def test_an_object_that_nobody_declared_is_checked_too() -> None:
    splits = small_splits()
    check_sampler(StandInSampler(None, context(splits=splits)), splits)
    check_loss(StandInLoss(None, context()))
    with pytest.raises(AssertionError, match="no gradient"):
        check_beta(lambda scores, keep, progress: torch.where(keep, scores.rejected, 0.0) * 0 + 1)
    with pytest.raises(AssertionError, match="order of negatives"):
        check_loss(LOSSES["minds_no_order"].subject("loss").new())
    with pytest.raises(AssertionError, match="different items"):
        check_sampler(SAMPLERS["draws_different_items"].subject("sampler").new(), splits)
    check_sampler(SAMPLERS["draws_different_items"].subject("sampler").new(), splits, with_replacement=True)
