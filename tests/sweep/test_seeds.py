"""``polo run --seeds``: one run a seed, found again, gone on with, and a table over all of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.errors import InputError
from polo.report.runs import open_run
from polo.report.seeds import closing_of_seeds
from polo.sweep.seeds import seeds_of
from tests.sweep.toy import folders, stopped

Run = Callable[..., tuple[int, str, str]]
#: so long that a signal finds it at work
LONG = ("stages.prefer.steps=300", "stages.prefer.validate.every=20", "stages.prefer.checkpoint=100")


def test_each_seed_is_an_ordinary_run_and_the_table_has_means_over_them(polo: Run, toy: Path) -> None:
    code, out, err = polo("run", toy, "--seeds", "0,2")
    assert code == 0, err
    runs = [open_run(folder) for folder in folders(out)]
    assert [run.recipe["seed"] for run in runs] == [0, 2]
    assert [run.path.parent for run in runs] == [toy.parent / "runs"] * 2
    mean = np.mean([run.results["systems"]["model"]["mrr"]["value"] for run in runs])
    (line,) = [line for line in out.splitlines() if line.startswith("model ")]
    assert f"{mean:.3f} [" in line
    table = closing_of_seeds(runs)
    assert "seeds 0, 2" in table.heading
    assert [row[0] for row in table.rows if row[-1] == ""] == ["model"]
    again = polo("run", toy, "--seeds", "0..2")
    assert again[0] == 0
    assert "has ended already" in again[2]
    found = folders(again[1])
    assert [found[0], found[2]] == [run.path for run in runs], "0 and 2 are not run again"
    assert len(list((toy.parent / "runs").iterdir())) == 3
    changed = polo("run", toy, "--seeds", "0", "stages.prefer.lr=0.02")
    assert folders(changed[1])[0] not in found, "another recipe is another run"
    assert "sft: taken from the cache" in changed[2]


def test_a_seed_whose_data_or_code_changed_is_run_anew(polo: Run, toy: Path) -> None:
    (first,) = folders(polo("run", toy, "--seeds", "1")[1])
    prints = json.loads((first / "fingerprints.json").read_text())
    prints["sft"]["data"] = "other"
    (first / "fingerprints.json").write_text(json.dumps(prints))
    code, out, err = polo("run", toy, "--seeds", "1")
    assert code == 0
    assert f"{first.name} is left alone" in err
    assert folders(out) != [first]


def test_a_stopped_command_goes_on_in_the_run_that_it_was_in(polo: Run, toy: Path) -> None:
    words = ("run", str(toy), "--seeds", "1,0", *LONG)
    assert stopped(signal.SIGINT, "prefer step 60:", *words) == 130
    (cut,) = (toy.parent / "runs").iterdir()
    assert not (cut / "results.json").exists()
    assert list((cut / "checkpoints").iterdir()), "a stop saves"
    code, out, err = polo(*words)
    assert code == 0
    assert f"going on in {cut.name}" in err
    assert folders(out)[0] == cut
    assert len(folders(out)) == 2
    whole = folders(polo("run", toy, "--seeds", "1", *LONG, "out=whole")[1])[0]
    assert json.loads((whole / "results.json").read_text()) == json.loads((cut / "results.json").read_text())


def test_several_at_once_give_the_same_runs(polo: Run, toy: Path) -> None:
    code, out, err = polo("run", toy, "--seeds", "3,4", "--jobs", "2")
    assert code == 0, err
    one = [open_run(folder) for folder in folders(out)]
    assert [run.recipe["seed"] for run in one] == [3, 4]
    (other,) = folders(polo("run", toy, "--seeds", "4", "out=other")[1])
    assert open_run(other).results == one[1].results


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "a"], "no seed and no range"),
        (["--seeds", "0..1", "seed=3"], "say two things"),
        (["--seeds", "0..1", "--resume", "x", "--dry-run"], "--resume, --dry-run: not together"),
        (["--seeds", "0..1", "stages.prefer.lr=x"], "expected a number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    polo: Run, toy: Path, words: list[str], message: str
) -> None:
    code, _, err = polo("run", toy, *words)
    assert code == 2
    assert message in err
    assert not (toy.parent / "runs").exists()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=5))
def test_law_ranges_are_their_numbers_each_once(parts: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}..{first + more}" if more else str(first) for first, more in parts)
    spelled = [n for first, more in parts for n in range(first, first + more + 1)]
    assert seeds_of(text) == list(dict.fromkeys(spelled))


@pytest.mark.parametrize("text", ["", "1,", "-1", "1...2", "3..1", "0..99999", "1e3", "²"])
def test_what_is_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"write 0\.\.4 or 0,3,7"):
        seeds_of(text)
