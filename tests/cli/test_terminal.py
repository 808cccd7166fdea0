"""Commands on a terminal of 80 columns, with ``NO_COLOR``, and into a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from polo.cli import COMMANDS
from tests.cli.terminal import CONTROLS, Shown, colours, shown

RECIPE = """\
polo: 1
name: a_recipe_with_a_long_name
data: {use: demo, items: 120, users: 40, shortest: 8, longest: 10}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: base
stages:
  first: {loss: bpr, sampler: {use: uniform, k: 4}, steps: 2, lr: 1e-2, batch: 32, validate: {rows: 9, every: 0}}
  then: {loss: dpo, sampler: {use: uniform, k: 4}, steps: 2, lr: 1e-2, batch: 32, validate: {rows: 9, every: 0}}
evaluate: {evaluators: [{use: hit_ratio, k: [1, 5]}, mrr], baselines: [popularity, random]}
"""
LADDER = """\
polo: 1
name: ladder
data: {use: demo, items: 120, users: 40, shortest: 8, longest: 10}
candidates: {n: all}
policy: {use: mf, dim: 4, items: {encoder: {use: lsa, k: 4, min_items: 1}}}
reference: none
stages:
  fit: {sampler: {use: uniform, k: 6}, loss: softmax, steps: 2, lr: 0.01, batch: 32, validate: {rows: 9, every: 0}}
evaluate: {evaluators: [{use: recall, k: [10]}], baselines: []}
"""
#: what else is tested where it is made; these print sentences, YAML or JSON, or serve
NO_TABLE = {"serve", "export", "export-rows", "validate", "cp", "plugin", "schema", "completion", "report"}
#: two columns of a table
COLUMNS = re.compile(r"\S {2,}\S")
#: names that are wider than what a word keeps
LONG = ["stages.first.lr=0.01,0.02", "stages.then.validate.every=0,1", "stages.then.sampler.k=4,5"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("terminal")
    (place / "recipe.yaml").write_text(RECIPE)
    (place / "ladder.yaml").write_text(LADDER)
    return place


@pytest.fixture(scope="module")
def seen(place: Path) -> list[Shown]:
    """Every command that prints a table, on a terminal of 80 columns."""
    run = str(place / "runs" / "one")
    told, _ = shown(place, [
        ["run", "recipe.yaml", "--into", run], ["eval", run, "evaluate.rows=20"],
        ["compare", run, "--with", "popularity", "--with", "random", "--metric", "all"],
        ["ls"], ["ls", "losses"], ["ls", "runs"], ["ls", "recipes"], ["ls", "plugins"], ["plugins"],
        ["describe", "data/sequences"], ["describe", "policy/causal_lm"], ["audit", "recipe.yaml"],
        ["show", "recipe.yaml"], ["recommend", run, "--history", "The Mura", "--top", "3"],
        ["diagnose", "ladder.yaml", "--rung", "lsa"],
        ["sweep", "recipe.yaml", *(word for one in LONG for word in ("--set", one)), "--trials", "1", "-q"],
    ], 80)  # fmt: skip
    return told


def test_each_command_is_seen_or_prints_no_table(seen: list[Shown]) -> None:
    assert {one.words[0] for one in seen} | NO_TABLE == set(COMMANDS)
    assert [(one.words, one.code) for one in seen if one.code] == []


def test_no_table_is_wider_than_a_terminal_of_80_columns(seen: list[Shown]) -> None:
    tables = 0
    for one in seen:
        rows = [line for line in one.lines if COLUMNS.search(line.strip()) or set(line) == {"─"}]
        tables += bool(rows)
        assert [(one.words, line) for line in rows if cell_len(line) > 80] == []
    assert tables == len(seen)


def test_what_does_not_fit_is_folded_and_nothing_is_cut(seen: list[Shown], place: Path) -> None:
    (folded,) = (one for one in seen if one.words == ("ls", "losses"))
    whole = subprocess.run([sys.executable, "-m", "polo", "ls", "losses"], capture_output=True, text=True, check=True,
                           cwd=place, env={k: v for k, v in os.environ.items() if k != "COLUMNS"}).stdout  # fmt: skip
    assert max(map(len, whole.splitlines())) > 80, "a pipe gets whole lines"
    words = sorted(word for line in folded.lines if "─" not in line for word in line.split())
    assert words == sorted(whole.split())
    assert colours(folded.raw), "and a terminal its colours"


def test_columns_says_how_wide_a_table_is_that_no_terminal_shows(place: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "polo", "ls", "losses"], capture_output=True, text=True, check=True,
                          cwd=place, env={**os.environ, "COLUMNS": "60"}).stdout  # fmt: skip
    assert 50 < max(map(len, made.splitlines())) <= 60
    assert CONTROLS.search(made) is None


def test_no_colour_is_written_where_no_color_is_set(place: Path, seen: list[Shown]) -> None:
    commands = [["run", "recipe.yaml"], ["ls", "losses"], ["plugins"], ["show", "recipe.yaml"],
                ["validate", "recipe.yaml"], ["validate", "nowhere.yaml"], ["--help"], ["ls", "--no"]]  # fmt: skip
    told, err = shown(place, commands, 80, NO_COLOR="1")
    assert [one.code for one in told] == [0, 0, 0, 0, 0, 2, 0, 2]
    assert [one.words for one in told if colours(one.raw)] == []
    assert "audits:" in err
    assert "error:" in err
    assert colours(err) == set()
    loud, err = shown(place, commands[-3:], 80, NO_COLOR="")  # empty: as if it were not set (no-color.org)
    assert colours(err)
    assert any(colours(one.raw) for one in loud)
