"""What a stage asks of its length or of the policy and cannot have: where that is told, and what would serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.console import Console
from polo.errors import Problem, RecipeError
from polo.plugin.load import load_plugins
from polo.recipe import load
from polo.run.compose import Composer
from tests.run.refused import RECIPE, prepared


def problems(folder: Path, old: str, new: str, policy: str = "toy_similarity", data: str = "small") -> list[Problem]:
    """What is refused of the recipe with some words exchanged."""
    path = folder / "refused.yaml"
    path.write_text(RECIPE.replace(old, new), encoding="utf-8")
    plugins = load_plugins(files=[Path(__file__).with_name("crossing_plugin.py")])
    resolved = load(path, overrides=(f"policy={policy}", f"data={data}"), profile="none", plugins=plugins, gpu=False)
    composer = Composer(resolved, plugins.catalogue, Console(silent=True))
    composer.data()
    try:
        composer.objectives()
    except RecipeError as refused:
        return list(refused.problems)
    return []


def test_a_mean_of_the_last_epochs_is_refused_where_patience_may_end_the_stage(tmp_path: Path) -> None:
    words = "steps: 1\n    validate: {every: 1, patience: 2}\n    average: {use: last, epochs: 2}"
    (one,) = problems(tmp_path, "steps: 1", words)
    assert one.where.endswith("refused.yaml:12:20")
    assert one.what == "average 'last' needs to know when the stage ends; its validate.patience may end it earlier"
    assert problems(tmp_path, "steps: 1", words.replace("use: last, epochs: 2", "use: ema")) == []
    assert problems(tmp_path, "steps: 1", words.replace(", patience: 2", "")) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("sampler: uniform", "sampler: top", "sampler 'top' needs the best items of the catalogue"),
        ("loss: bpr", "loss: cross_entropy", "loss 'cross_entropy' needs what all items score together"),
    ],
)
def test_policies_that_can_serve_are_named_and_do(tmp_path: Path, old: str, new: str, what: str) -> None:
    (one,) = problems(tmp_path, old, new)
    assert one.what.startswith(what)
    assert "; policy 'toy_similarity' " in one.what
    able = one.fix.partition("a policy that can serve it: ")[2]
    assert "mf" in able
    assert "sasrec" in able
    assert ("causal_lm" in able) == (new == "sampler: top"), "text policies have no vectors"
    assert problems(tmp_path, old, new, policy="{use: mf, dim: 4}") == []


@pytest.fixture
def sets(tmp_path: Path) -> str:
    """Data whose rows show no history."""
    for name, first, last in (("train", 0, 4), ("valid", 4, 5), ("test", 5, 7)):
        lines = [" ".join(map(str, [user, *((user + step) % 30 for step in range(first, last))])) for user in range(8)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    return f"{{use: cf, path: {tmp_path}, train: train.txt, valid: valid.txt, test: test.txt}}"


@pytest.mark.parametrize("name", ["sasrec", "gru4rec", "causal_lm"])
def test_a_policy_that_reads_the_history_is_refused_where_rows_show_none(tmp_path: Path, sets: str, name: str) -> None:
    policy = "{use: causal_lm, base: {use: tiny_lm}}" if name == "causal_lm" else name
    (one,) = problems(tmp_path, "", "", policy=policy, data=sets)
    said = "needs a shown history; the rows of data 'cf' show none (a history of 0 items)"
    assert one.what == f"policy '{name}' {said}"
    assert one.fix == "choose a policy that reads the user, or show items if the data have an order"


def test_a_baseline_that_reads_the_history_is_refused_by_name_and_else_left_out(tmp_path: Path, sets: str) -> None:
    with pytest.raises(RecipeError) as refused:
        prepared(tmp_path, sets, "[popularity, markov]")
    (one,) = refused.value.problems
    assert one.what.startswith("baseline 'markov' needs a shown history; the rows of data 'cf' show none")
    assert one.where.endswith("refused.yaml:12:55")
    every = prepared(tmp_path, sets, "all").composer.baselines()
    assert "markov" not in every
    assert {"popularity", "item_knn", "ease", "ials"} <= set(every)
    assert "markov" in prepared(tmp_path, "small", "all").composer.baselines()


def test_law_no_system_takes_the_name_and_so_the_place_of_another(tmp_path: Path) -> None:
    two = "[{use: ials, width: 4}, popularity, {use: ials, width: 8}]"
    made = prepared(tmp_path, "small", two).composer.baselines()
    assert list(made) == ["ials", "popularity", "ials-2"]
    assert made["ials"] is not made["ials-2"]
