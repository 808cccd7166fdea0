"""What is remembered of workers, and what is refused before Ray is asked; no Ray is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from polo import Context, InputError, Work
from polo_ray.launcher import Ray
from polo_ray.options import RayOptions
from polo_ray.words import LAST, Words


@pytest.fixture
def words() -> Words:
    return Words(frozenset({1}))


def test_only_the_first_worker_is_heard_and_the_others_are_remembered(words: Words) -> None:
    words.say(0, "stdout", "a")
    words.say(1, "stderr", "b" * LAST)
    words.say(1, "stderr", "why")
    words.say(0, "stderr", "c")
    assert words.heard() == [("stdout", "a"), ("stderr", "c")]
    assert words.heard() == []
    assert words.tail(1).endswith("bwhy")
    assert len(words.tail(1)) == LAST
    assert words.tail(2) == ""


def test_a_mistake_of_one_goes_before_what_others_say_of_losing_it(words: Words) -> None:
    words.ended(0, 1)
    assert words.first() == (0, 1)
    words.ended(1, 2)
    words.ended(2, 0)
    assert words.first() == (1, 2)


@pytest.mark.parametrize(("code", "final"), [(1, False), (-9, False), (2, True), (130, True)])
def test_what_another_start_may_mend(words: Words, code: int, final: bool) -> None:
    assert words.is_final(code) is final


def test_a_new_start_forgets_who_ended_and_sends_no_signal_twice(words: Words) -> None:
    words.ended(1, -9)
    words.ask(2)
    assert words.begin() == [2]
    assert words.first() is None
    words.ask(15)
    assert words.asked() == [2, 15]


def test_fewest_workers_are_no_more_than_most(tmp_path: Path) -> None:
    def refuse(choice: object) -> object:
        raise AssertionError

    launcher = Ray(RayOptions(least=3), Context(seed=0, cache=tmp_path, build=refuse))
    with pytest.raises(InputError, match="at least 3 workers, of at most 2"):
        launcher.launch(Work(words=(sys.executable, "-c", ""), processes=2))
