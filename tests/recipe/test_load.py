"""Whole recipes: layers, profiles, defaults, origins, and everything that is wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polo.errors import InputError, RecipeError
from polo.plugin.trust import Trust
from polo.recipe import load, to_yaml
from polo.recipe.dump import dump
from tests.recipe.texts import TREES, YAMLISH
from tests.toys import RECIPE, plugins, refusal, resolve, write

PLUGINS = plugins()


def problems(folder: Path, *overrides: str, text: str = RECIPE) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        resolve(folder, *overrides, text=text)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_a_recipe_becomes_typed_data(tmp_path):
    recipe = resolve(tmp_path).recipe
    assert list(recipe.stages) == ["sft", "prefer"]
    assert (recipe.data.kind, recipe.data.name, recipe.data.options.history) == ("data", "toy_data", 10)
    assert recipe.data.qualified == "toy_plugin.py/toy_data"
    assert recipe.policy.options.base == "meta-llama/Llama-3.2-1B"
    prefer = recipe.stages["prefer"]
    assert prefer.sampler.options.from_.options.k == 19
    assert (prefer.loss.options.tau, prefer.lr, prefer.epochs, prefer.steps) == (2.0, 1.0, None, 3)
    assert isinstance(prefer.lr, float)
    assert recipe.evaluate.evaluators[1].options.k == (1, 5)
    scorer = recipe.evaluate.scorer
    assert (scorer.kind, scorer.name, scorer.qualified) == ("scorer", "policy", "polo-rec/policy")
    assert recipe.stages["sft"].loss.options is None


def test_the_tree_holds_every_default(tmp_path):
    tree = resolve(tmp_path).tree
    assert tree["stages"]["prefer"]["sampler"] == {"use": "toy_wrapper", "from": {"use": "toy_uniform", "k": 19}}
    assert tree["evaluate"]["evaluators"][1] == {"use": "toy_hits", "k": [1, 5]}
    assert tree["stages"]["sft"]["validate"] == {"every": None, "patience": None, "metric": None, "rows": 400}
    assert tree["evaluate"]["scorer"]["use"] == "policy"
    assert tree["evaluate"]["baselines"] == []


def test_a_default_component_gets_its_own_defaults(tmp_path):
    text = RECIPE.replace("policy: {use: toy_policy, base: meta-llama/Llama-3.2-1B}", "policy: toy_policy")
    resolved = resolve(tmp_path, text=text)
    assert resolved.recipe.policy.options.base.options.hidden == 64
    assert resolved.tree["policy"]["base"] == {"use": "toy_base", "hidden": 64}


def test_origins_name_file_override_or_default(tmp_path):
    origins = resolve(tmp_path, "stages.prefer.lr=2e-5").origins
    assert origins["data", "history"] == f"{tmp_path}/toy.yaml:3:32"
    assert origins["stages", "prefer", "lr"] == "override 'stages.prefer.lr=2e-5'"
    assert origins["stages", "prefer", "batch"] == "default"
    assert origins["stages", "prefer", "sampler", "from", "use"] == f"{tmp_path}/toy.yaml:9:45"


def test_every_leaf_of_the_tree_has_an_origin(tmp_path):
    resolved = resolve(tmp_path)

    def leaves(tree, place=()):
        if isinstance(tree, dict) and tree:
            for key, value in tree.items():
                yield from leaves(value, (*place, key))
        elif isinstance(tree, list) and tree:
            for index, value in enumerate(tree):
                yield from leaves(value, (*place, index))
        else:
            yield place

    assert set(leaves(resolved.tree)) <= set(resolved.origins)


@pytest.mark.parametrize("profile", ["none", "cpu"])
def test_the_resolved_recipe_loads_to_itself(tmp_path, profile):
    resolved = resolve(tmp_path, profile=profile)
    again = load(write(tmp_path, to_yaml(resolved), "r.yaml"), plugins=PLUGINS, gpu=True)
    assert (again.tree, again.recipe) == (resolved.tree, resolved.recipe)


@pytest.mark.parametrize(
    ("profile", "gpu", "chosen"),
    [("auto", False, "cpu"), ("auto", True, None), ("none", False, None), ("gpu", False, None), ("cpu", True, "cpu")],
)
def test_profiles(tmp_path, profile, gpu, chosen):
    resolved = load(write(tmp_path), profile=profile, plugins=PLUGINS, gpu=gpu)
    assert resolved.profile == chosen
    assert resolved.changed == (("policy.base",) if chosen else ())
    expected = {"use": "toy_base", "hidden": 64} if chosen else "meta-llama/Llama-3.2-1B"
    assert resolved.tree["policy"]["base"] == expected


def test_an_override_wins_over_the_profile(tmp_path):
    tree = resolve(tmp_path, "policy.base.hidden=16", profile="cpu").tree
    assert tree["policy"]["base"] == {"use": "toy_base", "hidden": 16}


def test_auto_without_a_cpu_profile_takes_none(tmp_path):
    path = write(tmp_path, RECIPE.partition("profiles:")[0])
    assert load(path, plugins=PLUGINS, gpu=False).profile is None


def test_extends_is_the_layer_below(tmp_path):
    write(tmp_path, name="base.yaml")
    (tmp_path / "sub").mkdir()
    child = write(tmp_path / "sub", "extends: ../base.yaml\nname: child\nstages: {prefer: {loss: toy_bare}}\n")
    resolved = load(child, plugins=PLUGINS, gpu=False)
    assert resolved.recipe.name == "child"
    assert resolved.tree["stages"]["prefer"]["loss"] == {"use": "toy_bare"}
    assert (resolved.profile, list(resolved.recipe.stages)) == ("cpu", ["sft", "prefer"])
    assert resolved.origins["polo",].endswith("base.yaml:1:7")
    assert resolved.text.startswith("extends:")


def test_extends_in_a_circle_or_to_nowhere(tmp_path):
    write(tmp_path, "extends: b.yaml\n" + RECIPE, "a.yaml")
    write(tmp_path, "extends: a.yaml\n", "b.yaml")
    for first, what in [
        ("extends: b.yaml", "a.yaml:1:10: extends: b.yaml: the recipes extend each other in a circle"),
        ("extends: nosuch.yaml", "toy.yaml:1:10: extends: nosuch.yaml: no such recipe file"),
        ("extends: [a]", "toy.yaml:1:10: extends: found a list of 1, expected the path"),
        ('extends: "a\\0b"', "toy.yaml:1:10: extends: "),
        ("extends: broken.yaml", "broken.yaml:1:4: not YAML"),
    ]:
        write(tmp_path, "a: ]", "broken.yaml")
        with pytest.raises(RecipeError) as caught:
            load(write(tmp_path, f"{first}\n{RECIPE}"), plugins=PLUGINS, gpu=False)
        assert what in str(caught.value)


def test_a_mapping_too_short_is_told(tmp_path):
    text = RECIPE.partition("stages:")[0] + "stages: {}\nevaluate: {evaluators: [toy_hits]}\n"
    assert problems(tmp_path, text=text.replace("sft", "base")) == [
        "toy.yaml:6:9: stages: found an empty mapping, expected a mapping with at least 1"
    ]


# what is wrong, and where: (override, message)
WRONG = [
    ("seeed=1", "unknown key 'seeed'\n  -> did you mean 'seed'?"),
    ("data.histroy=1", "unknown key 'data.histroy'\n  -> did you mean 'history'?"),
    ("stages.prefer.loss=toy_lss", "stages.prefer.loss: unknown loss 'toy_lss'\n  -> did you mean 'toy_loss'?"),
    ("stages.prefer.loss=toy_uniform", "'toy_uniform' is a sampler, not a loss"),
    ("stages.sft.loss={use: toy_bare, x: 1}", "unknown key 'stages.sft.loss.x'\n  -> loss 'toy_bare' has no options"),
    ("stages.sft.loss={tau: 1, use: 3}", "stages.sft.loss: found number 3, expected text"),
    ("stages.sft.loss=[toy_bare]", "found a list of 1, expected a loss (a name, or a mapping with 'use')"),
    ("evaluate.evaluators=[{k: [1]}]", "evaluate.evaluators.0: which evaluator? 'use' is missing"),
    ('stages.prefer.lr="1e-5"', "found text '1e-5', expected a number > 0\n  -> write 1e-5 without quotes"),
    ("stages.prefer.lr=0", "found number 0, expected a number > 0"),
    ("stages.prefer.lr=.inf.", "found text '.inf.', expected a number > 0"),
    ("stages.prefer.lr=true", "found true, expected a number > 0"),
    ("stages.prefer.lr=", "found nothing, expected a number > 0"),
    ("stages.prefer.batch=1.0", "found number 1.0, expected a whole number >= 1\n  -> write 1"),
    ("stages.prefer.warmup=2", "found number 2, expected a number >= 0 and <= 1"),
    ("data.header=yes", "found text 'yes', expected true or false\n  -> write true"),
    ("data.header=1", "found number 1, expected true or false\n  -> write true"),
    ("name=3", "name: found number 3, expected text\n  -> put it in quotes"),
    ("stages.prefer.select=best", "found text 'best', expected 'last' or 'best_valid'"),
    ("stages.prefer.schedule=cosin", "expected 'cosine' or 'constant'\n  -> did you mean 'cosine'?"),
    ("polo=2", "polo: found number 2, expected 1"),
    ("policy.lora=8", "policy.lora: found number 8, expected a mapping, or null"),
    ("policy.lora.dropout=2", "policy.lora.dropout: found number 2, expected a number >= 0 and <= 1"),
    ("policy.heads={a: {r: 0}}", "policy.heads.a.r: found number 0, expected a whole number >= 1"),
    ("policy.base=[x]", "policy.base: found a list of 1, expected text, or a base"),
    ("policy.base={use: toy_bse}", "policy.base: unknown base 'toy_bse'\n  -> did you mean 'toy_base'?"),
    ("policy.base={use: toy_base, hidden: 1}", "policy.base.hidden: found number 1, expected a whole number >= 8"),
    ("evaluate.evaluators.0.k=1", "(each: a whole number >= 1) with at least 1\n  -> write it as a list"),
    ("evaluate.evaluators.0.k=[]", "evaluate.evaluators.0.k: found an empty list"),
    ("evaluate.evaluators.0.k=[1, 0]", "evaluate.evaluators.0.k.1: found number 0, expected a whole number >= 1"),
    ("evaluate.baselines=al", "found text 'al', expected 'all', or a list"),
    ("evaluate.baselines=[no_such]", "evaluate.baselines.0: unknown baseline 'no_such'"),
    ("stages.prefer.loss={use: toy_sum}", "missing 'parts'"),
    ("stages.prefer.loss={use: toy_sum, parts: [{use: toy_loss, tau: -1}]}", "loss.parts.0.tau: found number -1"),
    ("stages.prefer.loss={use: toy_sum, parts: [toy_bare], weights: [1]}", "expected a list of 2"),
    ("stages.prefer.loss={use: toy_loss, low: 2}", "stages.prefer.loss: low is above high"),
    ("stages.preffer.lr=1", "there is no 'stages.preffer'\n  -> did you mean 'prefer'?"),
    ("stages=[]", "stages: found an empty list, expected a mapping with at least 1"),
    ("stages.prefer.epochs=1", "stages.prefer: both epochs and steps are given"),
    ("stages.prefer.steps=null", "stages.prefer: how long? Neither epochs nor steps is given"),
    ("stages={base: {loss: toy_bare, steps: 1, lr: 1}}", "a stage cannot be called 'base'"),
    ("reference=prefer", "'prefer' is the last stage"),
    ("reference=sftt", "'sftt' is neither a stage nor an existing folder\n  -> did you mean 'sft'?"),
    ("stages.sft.start=prefer", "stages.sft.start: 'prefer' is no earlier stage"),
    ("stages.prefer.start=sftt", "stages.prefer.start: 'sftt' is no stage\n  -> did you mean 'sft'?"),
    ("stages.prefer.latest=1.5", "expected a whole number >= 1, or a number > 0 and < 1, or null"),
    ("init_from=/no/such/folder", "init_from: there is no folder"),
    ("name=../x", "name: text '../x' cannot name a folder"),
    ("name=", "name: found nothing, expected text"),
    ("requires=[polo-plugin-nosuch>=0.2]", '  -> python -m pip install "polo-plugin-nosuch>=0.2"'),
    ("requires=[polo-rec>=999]", "is installed as"),
    ('requires=["!"]', "is no requirement"),
    ("plugins=[./nosuch.py]", "plugins: ./nosuch.py: plugin file does not exist"),
    ("profiles.cpu.seed=1", "unknown key 'profiles'"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "message"), WRONG)
def test_what_is_wrong_is_told_with_place_and_remedy(tmp_path, word, message):
    found = problems(tmp_path, word)
    assert any(message in text for text in found), found
    assert any(text.startswith((f"override {word!r}: ", "toy.yaml:")) for text in found)


def test_problems_in_the_file_have_line_and_column_and_come_in_order(tmp_path):
    text = (
        RECIPE.replace("history: 10", "histroy: 10")
        .replace("toy_bare", "toy_bar")
        .replace("lr: 1\n", 'lr: "1e-5"\n    colour: red\n')
        .replace("steps: 3", "steps: 3.0")
        .replace("name: toy\n", "")
    )
    lines = [text.split("\n")[0] for text in problems(tmp_path, text=text)]
    assert lines == [
        "toy.yaml:1:1: missing 'name' (text)",
        "toy.yaml:2:23: unknown key 'data.histroy'",
        "toy.yaml:6:15: stages.sft.loss: unknown loss 'toy_bar'",
        "toy.yaml:10:12: stages.prefer.steps: found number 3.0, expected a whole number >= 1, or null",
        "toy.yaml:11:9: stages.prefer.lr: found text '1e-5', expected a number > 0",
        "toy.yaml:12:5: unknown key 'stages.prefer.colour'",
    ]


def test_profiles_that_cannot_be(tmp_path):
    text = RECIPE.replace("  cpu: ", "  none: {}\n  x: 3\n  y: {extends: a}\n  cpu: ")
    found = "\n".join(problems(tmp_path, text=text))
    assert "toy.yaml:15:3: a profile cannot be called 'none'" in found
    assert "toy.yaml:16:6: profiles.x: found number 3, expected a mapping" in found
    assert "toy.yaml:17:7: profiles.y: 'extends' cannot stand in a profile" in found
    with pytest.raises(RecipeError, match="did you mean 'cpu'"):
        resolve(tmp_path, profile="cpuu")


def test_a_reference_may_be_a_folder(tmp_path):
    assert resolve(tmp_path, f"reference={tmp_path}").recipe.reference == str(tmp_path)


def test_requirements_that_are_met_say_nothing(tmp_path):
    assert resolve(tmp_path, "requires=[polo-rec>=0.1, 'no-such-thing; python_version < \"3\"']").recipe.requires


def test_plugin_files_of_a_recipe_are_loaded_relative_to_it(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from polo import Component, hookimpl\n"
        "class Mine:\n    def __init__(self, options, context): pass\n"
        "@hookimpl\ndef polo_loss_heads():\n    return [Component(name='mine', build='mine:Mine')]\n"
    )
    path = write(tmp_path, RECIPE.replace("loss: toy_bare", "loss: mine") + "plugins: [./mine.py]\n")
    mine = plugins()
    resolved = load(path, plugins=mine, gpu=True, trust=Trust(started=True))
    assert resolved.recipe.plugins == (str(tmp_path / "mine.py"),)
    assert mine.catalogue.find("loss", "mine").load_build().__name__ == "Mine"


def test_a_broken_plugin_file_of_a_recipe_is_told_with_its_place(tmp_path):
    (tmp_path / "bad.py").write_text("import no_such_module\n")
    found = problems(tmp_path, text=RECIPE + "plugins: [bad.py]\n")
    assert found[0].startswith("toy.yaml:16:11: plugin file bad.py failed to load: ModuleNotFoundError")


NODES = st.sampled_from(
    ["data", "policy", "stages", "evaluate", "reference", "name", "profiles", "plugins", "requires"]
)
DEEPER = st.sampled_from(
    [
        "",
        ".sft",
        ".prefer",
        ".cpu",
        ".prefer.loss",
        ".prefer.sampler",
        ".evaluators",
        ".baselines",
        ".base",
        ".0",
        ".use",
    ]
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NODES, DEEPER, TREES), max_size=3), st.sampled_from(["auto", "none"]))
def test_law_a_recipe_with_any_values_loads_or_is_refused_with_places(tmp_path, changes, profile):
    tree = yaml.safe_load(RECIPE)
    tree["stages"]["sft"]["lr"] = 1.0
    for top, deeper, value in changes:
        place, owner = [top, *deeper.split(".")[1:]], tree
        for key in place[:-1]:
            owner = owner.get(key) if isinstance(owner, dict) else None
        if isinstance(owner, dict):
            owner[place[-1]] = value
    error = refusal(lambda: load(write(tmp_path, dump(tree)), profile=profile, plugins=PLUGINS, gpu=False))
    assert error is None or isinstance(error, InputError)
    assert all(str(tmp_path) in problem.where for problem in getattr(error, "problems", ()))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NODES, DEEPER, YAMLISH).map(lambda part: f"{part[0]}{part[1]}={part[2]}"), max_size=3))
def test_law_any_overrides_load_or_are_refused_with_places(tmp_path, words):
    error = refusal(lambda: load(write(tmp_path), overrides=words, plugins=PLUGINS, gpu=True))
    assert error is None or isinstance(error, InputError)
    assert all(problem.where.startswith(("override ", str(tmp_path))) for problem in getattr(error, "problems", ()))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: (RECIPE + text).encode(errors="surrogatepass")))
def test_law_any_bytes_load_or_are_refused(tmp_path, content):
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    error = refusal(lambda: load(path, plugins=PLUGINS, gpu=True))
    assert error is None or error.exit_code == 2


@pytest.mark.parametrize("word", [".inf", "-.inf"])
@pytest.mark.parametrize("where", ["stages.prefer.lr", "stages.prefer.loss.tau"])
def test_no_option_means_infinity(tmp_path, where, word):
    [said] = problems(tmp_path, f"{where}={word}")
    assert f"{where}: found" in said
    assert "write a finite number" in said
