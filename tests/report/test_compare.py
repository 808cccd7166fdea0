"""Comparing runs: what is refused, how seeds are pooled, and what is printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from polo.errors import InputError
from polo.evaluate.significance import paired
from polo.report.compare import compare, contenders, same_protocol, with_baselines
from polo.report.runs import open_run
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


def test_seeds_of_one_recipe_are_one_contender_whose_rows_are_means_over_seeds(tmp_path: Path) -> None:
    runs = [open_run(write_run(tmp_path / f"s{seed}", strength=2, seed=seed)) for seed in range(3)]
    other = open_run(write_run(tmp_path / "o", strength=0, method="ipo", name="other"))
    found = contenders([other, *runs])
    assert [(c.name, len(c.runs)) for c in found] == [("other", 1), ("toy", 3)]
    _, line = compare(found, ["hit_ratio@1"])
    values = [run.values["model"]["hit_ratio@1"] for run in runs]
    assert line.seeds == 3
    assert line.value == pytest.approx(np.mean(values))
    assert line.spread == pytest.approx(np.std([v.mean() for v in values], ddof=1))
    alone = paired(np.mean(values, axis=0), other.values["model"]["hit_ratio@1"], other.users)
    assert (line.difference, line.p) == (alone.difference, alone.p)
    assert line.p_holm == alone.p  # one test


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
