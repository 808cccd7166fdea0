"""What a run cost: parts add up, go on, and are counted once where runs share a stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.errors import InputError
from polo.store import cost
from polo.store.cost import Cost, Ledger, cpu_seconds, read_cost


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands where its one entry says; the CPU is busy half of the time."""
    now = [0.0]
    monkeypatch.setattr(cost, "_now", lambda n: {"cpu_seconds": now[0] / 2 * n, "seconds": now[0]})
    return now


def test_parts_add_up_over_interruptions_and_processes(tmp_path: Path, clock: list[float]) -> None:
    before = Ledger(None, processes=2)
    with before.part("start"):
        clock[0] = 3.0
    ledger = before.moved(tmp_path)

    def interrupted() -> None:
        with ledger.part("sft", fingerprint="f"):
            clock[0] = 7.0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    ledger = Ledger(tmp_path, processes=2)  # goes on
    with ledger.part("sft", fingerprint="f"):
        clock[0] = 8.0
        ledger.tick()
        told = read_cost(tmp_path)
        assert told is not None
        # 4 s before the interruption and 1 s until the tick
        assert told["stages"]["sft"] == {"cpu_seconds": 5.0, "seconds": 5.0, "fingerprint": "f"}
        clock[0] = 10.0
    with ledger.part("evaluation"):
        clock[0] = 11.0
        with ledger.part("markov", system=True):
            clock[0] = 15.0
    assert read_cost(tmp_path) == {
        "start": {"cpu_seconds": 3.0, "seconds": 3.0},
        "stages": {"sft": {"cpu_seconds": 7.0, "seconds": 7.0, "fingerprint": "f"}},
        "systems": {"markov": {"cpu_seconds": 4.0, "seconds": 4.0}},
        "evaluation": {"cpu_seconds": 5.0, "seconds": 5.0},
    }
    assert cpu_seconds([read_cost(tmp_path)]) == 15.0
    assert cpu_seconds([read_cost(tmp_path)], upto="sft") == 10.0


def test_a_stage_that_is_another_one_today_begins_at_nothing(tmp_path: Path, clock: list[float]) -> None:
    ledger = Ledger(tmp_path)
    for fingerprint in "fg":
        with ledger.part("sft", fingerprint=fingerprint):
            clock[0] += 4.0
    assert ledger.stage("sft") == {"cpu_seconds": 2.0, "seconds": 4.0, "fingerprint": "g"}


def made(start: float, stages: dict[str, float], evaluation: float) -> Cost:
    return {
        "start": {"cpu_seconds": start, "seconds": start},
        "stages": {name: {"cpu_seconds": s, "seconds": s, "fingerprint": f"of {name}"} for name, s in stages.items()},
        "systems": {},
        "evaluation": {"cpu_seconds": evaluation, "seconds": evaluation},
    }


@given(st.lists(st.tuples(st.integers(0, 9), st.sets(st.sampled_from("abcd")), st.integers(0, 9)), max_size=5))
def test_law_a_stage_that_runs_share_is_counted_once(runs: list[tuple[int, set[str], int]]) -> None:
    price = {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0}
    costs = [made(start, {name: price[name] for name in names}, end) for start, names, end in runs]
    shared = {name for _, names, _ in runs for name in names}
    own = sum(start + end for start, _, end in runs)
    assert cpu_seconds(costs) == own + sum(price[name] for name in shared)


def test_what_is_not_known_makes_the_sum_unknown() -> None:
    known = made(1, {"sft": 2}, 3)
    assert cpu_seconds([known, None]) is None
    assert cpu_seconds([known, {"stages": {"sft": None}, "systems": {}}]) is None


def test_a_damaged_account_is_told_to_readers_and_begun_anew_by_the_run(tmp_path: Path, clock: list[float]) -> None:
    assert read_cost(tmp_path) is None
    (tmp_path / "cost.json").write_text(json.dumps({"stages": 3}))
    with pytest.raises(InputError, match="stages"):
        read_cost(tmp_path)
    with Ledger(tmp_path).part("start"):
        clock[0] = 1.0
    assert read_cost(tmp_path) == {"stages": {}, "systems": {}, "start": {"cpu_seconds": 0.5, "seconds": 1.0}}
