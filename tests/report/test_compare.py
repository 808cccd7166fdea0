"""Comparing runs: what is refused, how seeds are pooled, and what is printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from polo.errors import InputError
from polo.evaluate.seeds import paired_over_seeds
from polo.evaluate.significance import paired
from polo.report.budget import Tuning, read_tuning, write_tuning
from polo.report.compare import compare, contenders, same_protocol, with_baselines
from polo.report.runs import open_run
from polo.store.cost import Cost
from tests.report.folders import write_run

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"n": 20}, "n: 10 and 20"), ({"seed": 5}, "seed: 0 and 5"), ({"lists": "x"}, "lists: 'l' and 'x'"),
     ({"split": "valid"}, "split: 'test' and 'valid'"), ({"history": 3}, "history: 1 and 3")],
)  # fmt: skip
def test_unlike_protocols_are_refused_by_the_field_that_differs(
    polo: Run, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    one = write_run(tmp_path / "a", strength=1)
    other = write_run(tmp_path / "b", strength=1, name="b", changes=changes)
    code, _, err = polo("compare", one, other)
    assert code == 2
    assert named in err


def test_seeds_of_one_recipe_are_one_contender_measured_over_users_and_seeds(tmp_path: Path) -> None:
    runs = [open_run(write_run(tmp_path / f"s{seed}", strength=2, seed=seed)) for seed in range(3)]
    other = open_run(write_run(tmp_path / "o", strength=0, method="ipo", name="other"))
    found = contenders([other, *runs])
    assert [(c.name, len(c.runs)) for c in found] == [("other", 1), ("toy", 3)]
    _, line = compare(found, ["hit_ratio@1"])
    values = [run.values["model"]["hit_ratio@1"] for run in runs]
    assert line.seeds == 3
    assert line.value == pytest.approx(np.mean(values))
    assert line.spread == pytest.approx(np.std([v.mean() for v in values], ddof=1))
    base = other.values["model"]["hit_ratio@1"]
    both = paired_over_seeds(np.stack(values), base[None], other.users)
    assert (line.difference, line.difference_low, line.p) == (both.difference, both.low, both.p)
    alone = paired(np.mean(values, axis=0), base, other.users)
    assert line.difference == pytest.approx(alone.difference)
    assert line.difference_low is not None
    assert line.difference_low < alone.low, "seeds that lie apart widen the interval"
    assert line.p_holm == line.p  # one test


def test_the_same_seeds_are_compared_seed_by_seed_in_whatever_order_they_are_given(tmp_path: Path) -> None:
    runs = [
        open_run(write_run(tmp_path / f"{m}{seed}", strength=s, seed=seed, method=m, name=m))
        for m, s, seeds in (("a", 1, (0, 1, 2)), ("b", 2, (2, 0, 1)))
        for seed in seeds
    ]
    lines = compare(contenders(runs), ["mrr"])
    of = {(run.name, run.recipe["seed"]): run.values["model"]["mrr"] for run in runs}
    a, b = (np.stack([of[name, seed] for seed in range(3)]) for name in "ab")
    matched = paired_over_seeds(b, a, runs[0].users, matched=True)
    assert (lines[1].difference_low, lines[1].p) == (matched.low, matched.p)


def test_a_budget_counts_the_trials_of_a_sweep_and_shared_stages_once(polo: Run, tmp_path: Path) -> None:
    """The sweep: two trials of 1 + 2 s beside sft, and sft's 10 s. The run it chose has the second trial's stage and
    1 s of its own: 10 + 2 (1) + 2 (2) + 1 = 17 s for the model, 10 + 2 (1) + 1 = 13 s for sft."""

    def cost(stage: str) -> Cost:
        part = {"seconds": 1.0}
        stages = {"sft": {"cpu_seconds": 10.0, "fingerprint": "f", **part},
                  "prefer": {"cpu_seconds": 2.0, "fingerprint": stage, **part}}  # fmt: skip
        made = {"start": {"cpu_seconds": 1.0, **part}, "stages": stages,
                "systems": {"random": {"cpu_seconds": 0.5, **part}}}  # fmt: skip
        return cast("Cost", made)

    run = write_run(tmp_path / "a", strength=2, stages=("sft", "prefer"))
    other = write_run(tmp_path / "b", strength=1, method="ipo", name="b")
    (run / "cost.json").write_text(json.dumps(cost("y")))
    tuning = Tuning(study="u", name="toy-sweep", metric="mrr", space=["a=1,2"], trials=2, costs=[cost("x"), cost("y")])
    write_tuning(run, tuning)
    assert read_tuning(run) == tuning
    words = ("compare", run, other, "--with", "sft", "--with", "random")
    systems = json.loads(polo(*words, "--json")[1])["systems"]
    assert {name: one["budget"] for name, one in systems.items()} == {
        "sft": {"trials": 2, "cpu_seconds": 13.0, "sweeps": ["toy-sweep"]},
        "random": {"trials": 1, "cpu_seconds": 0.5, "sweeps": []},
        "toy": {"trials": 2, "cpu_seconds": 17.0, "sweeps": ["toy-sweep"]},
        "b": {"trials": 1, "cpu_seconds": None, "sweeps": []},
    }
    figures = systems["toy"]["figures"]["mrr"]
    assert figures["low"] < figures["mean"] < figures["high"]
    said = polo(*words)[1]
    assert "2 trials, 17 CPU s" in said
    assert "1 trial, CPU time unknown" in said
    (run / "tuning.json").write_text('{"trials": "many"}')
    code, _, err = polo(*words)
    assert code == 2
    assert "tuning.json" in err


def test_p_values_are_corrected_within_a_metric(tmp_path: Path) -> None:
    runs = [
        open_run(write_run(tmp_path / m, strength=s, method=m, name=m)) for m, s in (("a", 0), ("b", 0.7), ("c", 1))
    ]
    lines = [line for line in compare(contenders(runs), ["mrr"]) if line.p is not None]
    low, high = sorted((line.p, line.p_holm) for line in lines)
    assert low[1] == pytest.approx(2 * low[0])
    assert high[1] == pytest.approx(max(2 * low[0], high[0]))


def test_one_seed_twice_and_unknown_names_are_refused(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path / "a", strength=1))
    with pytest.raises(InputError, match="one seed"):
        contenders([run, run])
    with pytest.raises(InputError, match="no system 'markov'"):
        with_baselines(contenders([run]), ["markov"])
    with pytest.raises(InputError, match="metric 'x'"):
        compare(contenders([run]), ["x"])
    same_protocol([run])


def test_every_form_holds_the_same_figures(polo: Run, tmp_path: Path) -> None:
    words = ("compare", write_run(tmp_path / "a", strength=2), "--with", "random", "--metric", "mrr")
    code, out, _ = polo(*words, "--json")
    lines = json.loads(out)["lines"]
    assert code == 0
    assert [line["name"] for line in lines] == ["random", "toy"]
    assert lines[1]["difference"] > 0
    rows = list(csv.DictReader(io.StringIO(polo(*words, "--csv")[1])))
    assert [float(row["value"]) for row in rows] == [line["value"] for line in lines]
    for form in ("--markdown", "--latex"):
        text = polo(*words, form)[1]
        assert all(f"{line['value']:.3f}" in text for line in lines)
    assert polo(*words)[0] == 0
    assert polo(*words, "--json", "--csv")[0] == 2


def test_what_is_no_finished_run_is_refused(polo: Run, tmp_path: Path) -> None:
    code, _, err = polo("compare", tmp_path)
    assert code == 2
    assert "not the folder of a finished run" in err
    run = write_run(tmp_path / "a", strength=1)
    (run / "eval" / "per_row.parquet").write_bytes(b"no parquet")
    assert polo("compare", run)[0] == 2
