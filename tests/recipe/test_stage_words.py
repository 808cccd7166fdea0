"""What a stage may say of optimiser, measurements and patience, and where its mistakes are told."""

from __future__ import annotations

import pytest

from polo.errors import RecipeError
from polo.recipe.model import Epochs
from polo.recipe.schema import recipe_schema
from tests.toys import RECIPE, plugins, resolve

SFT = "sft: {loss: toy_bare, epochs: 5, lr: 1e-4}"


def said(words: str) -> str:
    return RECIPE.replace(SFT, f"sft: {{loss: toy_bare, epochs: 5, lr: 1e-4, {words}}}")


def test_a_stage_names_its_optimiser_and_has_one_if_it_does_not(tmp_path):
    text = said("optimiser: {use: sgd, momentum: 0.9}, clip: null")
    resolved = resolve(tmp_path, text=text)
    stages = resolved.recipe.stages
    assert (stages["sft"].optimiser.name, stages["sft"].optimiser.options.momentum) == ("sgd", 0.9)
    assert stages["sft"].clip is None
    assert resolved.tree["stages"]["prefer"]["optimiser"] == {"use": "adamw", "betas": [0.9, 0.999], "eps": 1e-8}


def test_a_stage_may_average_its_weights(tmp_path):
    stages = resolve(tmp_path, text=said("average: {use: ema, decay: 0.99}")).recipe.stages
    assert (stages["sft"].average.name, stages["sft"].average.options.decay) == ("ema", 0.99)
    assert stages["prefer"].average is None


def test_measurements_are_told_in_steps_or_epochs(tmp_path):
    assert resolve(tmp_path, text=said("validate: {every: 20}")).recipe.stages["sft"].validate.every == 20
    by_epochs = resolve(tmp_path, text=said("validate: {every: {epochs: 0.5}, patience: 3}")).recipe.stages["sft"]
    assert (by_epochs.validate.every, by_epochs.validate.patience) == (Epochs(epochs=0.5), 3)
    changed = resolve(tmp_path, "stages.sft.validate.every={epochs: 2}", text=said("validate: {every: 20}"))
    assert changed.recipe.stages["sft"].validate.every == Epochs(epochs=2.0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "validate: {every: 0.5}",
            ":7:64: stages.sft.validate.every: found number 0.5, expected a whole",
        ),
        ("validate: {every: {epoch: 1}}", ":7:65: unknown key 'stages.sft.validate.every.epoch'"),
        (
            "validate: {every: {epochs: 0}}",
            ":7:73: stages.sft.validate.every.epochs: found number 0, expected a",
        ),
        (
            "validate: {patience: 0}",
            ":7:67: stages.sft.validate.patience: found number 0, expected a whole",
        ),
        ("validate: {every: 0, patience: 1}", ":7:56: stages.sft.validate: patience needs measurements on the way"),
        ("average: {use: ema, decay: 1}", ":7:73: stages.sft.average.decay: found number 1, expected a"),
        ("average: {use: lats}", ":7:61: stages.sft.average: unknown average 'lats'"),
        ("optimiser: adamv", ":7:57: stages.sft.optimiser: unknown optimiser 'adamv'"),
        ("optimiser: {use: adam, momentum: 1}", ":7:69: unknown key 'stages.sft.optimiser.momentum'"),
        ("optimiser: {use: sgd, nesterov: true}", ":7:57: stages.sft.optimiser: nesterov needs momentum"),
    ],
)
def test_mistakes_are_told_where_they_stand(tmp_path, words, problem):
    with pytest.raises(RecipeError) as caught:
        resolve(tmp_path, text=said(words))
    assert any(problem in str(one) for one in caught.value.problems), [str(one) for one in caught.value.problems]


def test_the_schema_knows_optimisers_and_both_forms_of_every():
    schema = recipe_schema(plugins().catalogue)
    assert {"adam", "adamw", "sgd"} <= set(schema["definitions"]["optimiser"]["anyOf"][0]["enum"])
    stage = schema["properties"]["stages"]["additionalProperties"]
    forms = stage["properties"]["validate"]["properties"]["every"]["anyOf"]
    assert {"integer", "object", "null"} == {form["type"] for form in forms}
