"""The print of a stage: another one exactly where another stage would be learnt, and said in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from polo.console import Console
from polo.errors import InputError
from polo.run.compose import Composer
from polo.run.fingerprint import (
    KEPT,
    Print,
    changed,
    keep_print,
    kept_prints,
    refuse_changed,
    scoring_code,
    stage_prints,
)
from tests.toy_policy import ToyPolicy
from tests.toys import plugins, resolve

#: two modules that import little
ROOT, OTHER = "polo.randomness", "polo.words"


class Listed(ToyPolicy):
    """Is shown the row's candidates."""

    pool: Literal["candidates"] = "candidates"  # type: ignore[assignment]


class OnBase(ToyPolicy):
    def base_hash(self) -> str:
        return "of the base"

    def keep_base(self, folder: Path) -> None: ...


class Worded(ToyPolicy):
    def fingerprint(self) -> str:
        return "another prompt"


def prints(
    folder: Path,
    *overrides: str,
    data: str = "data",
    policy: Any = None,
    weights: dict[str, str] | None = None,
    root: str = ROOT,
) -> dict[str, Print]:
    resolved = resolve(folder, *overrides)
    composer = Composer(resolved, plugins().catalogue, Console(silent=True))
    return stage_prints(resolved, composer, data, policy or ToyPolicy(), weights or {"base": "w"}, root)


def others(folder: Path, *overrides: str, before: tuple[str, ...] = (), **given: Any) -> set[str]:
    """Stages whose print a change makes another."""
    old, new = prints(folder, *before), prints(folder, *before, *overrides, **given)
    return {name for name in old if old[name].fingerprint != new[name].fingerprint}


BOTH = {"sft", "prefer"}


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("stages.prefer.lr=0.5", {"prefer"}),
        ("stages.prefer.loss.tau=3", {"prefer"}),
        ("stages.prefer.sampler.from.k=18", {"prefer"}),
        ("stages.sft.lr=0.5", BOTH),  # prefer starts from sft
        ("seed=5", BOTH),
        ("policy.lora.r=4", BOTH),
        ("device=cpu", BOTH),
        ("precision=fp32", BOTH),
        ("reference=base", BOTH),
        ("stages.prefer.checkpoint=7", set()),
        ("stages.prefer.tokens_per_pass=77", set()),
        ("stages.prefer.validate.every=7", set()),
        ("candidates.seed=5", set()),
        ("candidates.n=7", set()),
        ("name=other", set()),
        ("evaluate.rows=7", set()),
        ("out=elsewhere", set()),
    ],
)
def test_law_a_print_changes_where_what_is_learnt_does(tmp_path: Path, override: str, stages: set[str]) -> None:
    assert others(tmp_path, override) == stages


def test_law_lists_count_where_the_policy_sees_them_or_the_best_weights_are_chosen_by_them(tmp_path: Path) -> None:
    best = ("stages.prefer.select=best_valid",)
    assert others(tmp_path, "candidates.seed=5", before=best) == {"prefer"}
    assert others(tmp_path, "stages.prefer.validate.every=7", before=best) == {"prefer"}
    listed, again = prints(tmp_path, policy=Listed()), prints(tmp_path, "candidates.seed=5", policy=Listed())
    assert {name for name in listed if listed[name] != again[name]} == BOTH


@pytest.mark.parametrize(
    "given",
    [
        {"data": "others"},
        {"policy": Worded()},
        {"policy": OnBase()},
        {"weights": {"base": "v"}},
        {"root": OTHER},
    ],
)
def test_law_every_stage_stands_on_data_policy_weights_and_code(tmp_path: Path, given: dict[str, Any]) -> None:
    assert others(tmp_path, **given) == BOTH


def test_a_stage_is_measured_against_its_reference_and_the_stage_that_makes_it_is_not(tmp_path: Path) -> None:
    """A reference that is a stage concerns the stages after it; one that is a folder, all; none, none."""
    facts = prints(tmp_path)
    assert facts["sft"].facts["reference"] is None
    assert facts["prefer"].facts["reference"] == facts["sft"].fingerprint
    assert facts["prefer"].facts["start"] == facts["sft"].fingerprint
    assert facts["sft"].facts["start"] == "w"
    base = prints(tmp_path, "reference=base")
    assert [one.facts["reference"] for one in base.values()] == ["w", "w"]
    none = prints(tmp_path, "reference=none")
    assert [one.facts["reference"] for one in none.values()] == [None, None]
    folder = str(tmp_path)
    theirs = prints(tmp_path, f"reference={folder}", weights={"base": "w", folder: "t"})
    assert [one.facts["reference"] for one in theirs.values()] == ["t", "t"]


def test_law_the_code_of_every_component_of_a_stage_counts_and_of_no_other(tmp_path: Path) -> None:
    made = prints(tmp_path)
    words = {name: {label.rpartition(" (")[0] for label in one.facts["code"]} for name, one in made.items()}
    shared = {"policy 'toy_policy'", "optimiser 'adamw'"}
    assert words["sft"] == shared | {"loss 'toy_bare'"}
    assert words["prefer"] == shared | {"loss 'toy_loss'", "sampler 'toy_wrapper'", "sampler 'toy_uniform'"}


def test_law_a_print_does_not_depend_on_the_order_of_facts_and_every_fact_is_in_it() -> None:
    one = Print({"a": {"x": 1, "y": 2}, "b": [1]})
    assert one.fingerprint == Print({"b": [1], "a": {"y": 2, "x": 1}}).fingerprint
    assert one.fingerprint != Print({"a": {"x": 1, "y": 3}, "b": [1]}).fingerprint
    assert len(one.fingerprint) == 16
    assert int(one.fingerprint, 16) >= 0


def test_law_scores_of_a_reference_stand_on_the_policys_code_and_the_engines(tmp_path: Path) -> None:
    resolved = resolve(tmp_path)
    composer = Composer(resolved, plugins().catalogue, Console(silent=True))
    policy, sampler = resolved.recipe.policy, resolved.recipe.stages["prefer"].sampler
    made = scoring_code(composer, policy, ROOT)
    assert made == scoring_code(composer, policy, ROOT)
    assert made != scoring_code(composer, policy, OTHER)
    assert made != scoring_code(composer, sampler, ROOT)
    assert len(made) == 16


WAS = {
    "recipe": {"seed": 0, "stages.sft": {"lr": 1}},
    "versions": {"torch": "2", "numpy": "2"},
    "code": {"loss 'x' (y)": "h"},
    "data": "d",
    "base": "b",
    "start": "s",
    "policy": "p",
}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({}, []),
        ({"data": "e"}, ["the data"]),
        ({"base": "c"}, ["the base model (sha256 b then, c now)"]),
        ({"recipe": {"seed": 1, "stages.sft": {"lr": 1}}}, ["`seed` of the recipe"]),
        ({"versions": {"torch": "3", "numpy": "2"}}, ["torch (2 then, 3 now)"]),
        ({"versions": {"torch": "2"}}, ["numpy (2 then, None now)"]),
        ({"code": {"loss 'x' (y)": "i"}}, ["the code of loss 'x' (y)"]),
        ({"start": "t"}, ["the weights that it starts from"]),
        ({"start": "t", "data": "e"}, ["the data"]),  # what follows is not named beside its cause
        ({"policy": "q", "base": "c"}, ["the base model (sha256 b then, c now)"]),
        ({"novel": "n"}, ["novel"]),
        ({"novel": {"a": 1}}, ["novel"]),
    ],
)
def test_what_changed_is_named_with_its_cause_alone(now: dict[str, Any], words: list[str]) -> None:
    assert changed(Print(WAS), Print({**WAS, **now})) == words


def test_a_fact_that_is_gone_is_named_as_one_that_came(tmp_path: Path) -> None:
    assert changed(Print({**WAS, "gpu": True}), Print(WAS)) == ["whether there is a GPU"]
    (missing,) = changed(None, Print(WAS))
    assert KEPT in missing


def test_law_what_is_kept_comes_back_beside_what_was_there(tmp_path: Path) -> None:
    assert kept_prints(tmp_path) == {}
    keep_print(tmp_path, "sft", Print({"a": 1}))
    keep_print(tmp_path, "prefer", Print({"b": 2}))
    keep_print(tmp_path, "sft", Print({"a": 3}))
    assert kept_prints(tmp_path) == {"sft": Print({"a": 3}), "prefer": Print({"b": 2})}
    kept = json.loads((tmp_path / KEPT).read_text())
    (tmp_path / KEPT).write_text(json.dumps({**kept, "sft": 7}))
    assert set(kept_prints(tmp_path)) == {"prefer"}


@pytest.mark.parametrize(("has", "refused"), [(True, True), (False, False)])
def test_going_on_is_refused_where_weights_of_a_changed_stage_are_there(
    tmp_path: Path, has: bool, refused: bool
) -> None:
    keep_print(tmp_path, "sft", Print({"data": "a"}))
    now = {"sft": Print({"data": "b"})}
    if refused:
        with pytest.raises(InputError, match="stage 'sft' of this run was trained before a change of: the data"):
            refuse_changed(tmp_path, now, {"sft": has})
    else:
        refuse_changed(tmp_path, now, {"sft": has})
    refuse_changed(tmp_path, {"sft": Print({"data": "a"})}, {"sft": True})
