"""10,000 recipes and overrides that nobody meant: each loads, or is refused with a place, and nothing else happens.

Besides texts that are hardly YAML there are small changes of the recipes that come with polo, so that most inputs get
past the first check.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polo.cli import main
from polo.errors import PoloError, RecipeError
from polo.plugin.component import KINDS
from polo.plugin.load import Plugins, load_plugins
from polo.recipe import load, to_yaml
from polo.recipe.dump import dump
from polo.recipe.reader import parse
from tests.recipe.texts import PIECES, TREES, YAMLISH

pytestmark = pytest.mark.fuzz

PLUGINS: Plugins = load_plugins()
FOLDERS = sorted({folder for record in PLUGINS.records for folder in record.recipes})
SHIPPED = {path.stem: path.read_text("utf-8") for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))}
PARSED: dict[str, Any] = {name: parse(text, name).plain() for name, text in SHIPPED.items()}
NAMES = st.sampled_from(sorted(SHIPPED))
#: a place: file:line:column, the word of an override, or an option of the command line
PLACE = re.compile(r"^(.+:\d+:\d+|override .+|--profile)$", re.DOTALL)

Path_ = tuple[str | int, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipes that come with polo, which extend each other."""
    place = tmp_path_factory.mktemp("fuzz")
    for name, text in SHIPPED.items():
        (place / f"{name}.yaml").write_text(text, "utf-8")
    return place


def fuzzed(examples: int) -> Any:
    return settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )


def loads_or_is_refused(path: Path, *overrides: str, profile: str = "auto", gpu: bool = False) -> Any:
    """The resolved recipe, or ``None``; every problem must have a place; anything but bad input fails the test."""
    resolved = error = None
    try:
        resolved = load(path, overrides=overrides, profile=profile, plugins=PLUGINS, gpu=gpu)
    except PoloError as caught:
        error = caught
    assert error is None or error.exit_code == 2
    if isinstance(error, RecipeError):
        assert error.problems
        assert all(PLACE.match(problem.where) and problem.what for problem in error.problems), error.problems
    elif error is not None:
        assert str(path) in error.where
    return resolved


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "fuzz.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", errors="surrogatepass"))
    return path


def places(tree: Any, at: Path_ = ()) -> Iterator[Path_]:
    yield at
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*at, key))


PLACES = {name: [place for place in places(tree) if place] for name, tree in PARSED.items()}
COMPONENTS = sorted({name for kind in KINDS for name in PLUGINS.catalogue.names(kind)})
KEYS = sorted({str(part) for found in PLACES.values() for place in found for part in place})

EXTREMES: list[Any] = [
    0, -1, 1, 10**400, -(2**63), 0.0, -0.0, 1e308, 1e-320, float("inf"), float("-inf"), float("nan"), True, None, "",
    " ", "0", "1e-5", "nan", "none", "auto", "\0", "a" * 5000, "../..", "~", "~nobody/x", "${HOME}", "é", [], {}, [[]],
    [None], {"use": None}, {"use": []}, {"use": "dmpo", "use2": 1}, {"from": {"from": {}}},
]  # fmt: skip
VALUES = st.sampled_from(EXTREMES) | st.sampled_from(COMPONENTS) | TREES
CHANGES = st.sampled_from(["replace", "remove", "rename", "add", "wrap", "component", "swap", "nest"])


def has(owner: Any, key: Any) -> bool:
    """Whether ``owner[key]`` is there."""
    if isinstance(owner, dict):
        return key in owner
    return isinstance(owner, list) and isinstance(key, int) and key < len(owner)


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A recipe that comes with polo after one to three small changes of its structure."""
    name = draw(NAMES)
    tree = copy.deepcopy(PARSED[name])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(PLACES[name]))
        owner: Any = tree
        for key in place[:-1]:
            owner = owner[key] if has(owner, key) else None
        key = place[-1]
        if not has(owner, key):
            continue  # an earlier change took it away
        match draw(CHANGES):
            case "replace":
                owner[key] = draw(VALUES)
            case "remove":
                del owner[key]
            case "rename" if isinstance(owner, dict):
                owner[draw(st.sampled_from(KEYS) | st.text(max_size=6))] = owner.pop(key)
            case "add" if isinstance(owner[key], dict):
                owner[key][draw(st.sampled_from(KEYS) | st.text(max_size=6))] = draw(VALUES)
            case "wrap":
                owner[key] = [owner[key]] if draw(st.booleans()) else {"use": owner[key]}
            case "component":
                owner[key] = {"use": draw(st.sampled_from(COMPONENTS)), **draw(st.just({}) | st.just({"k": 3}))}
            case "swap":
                other = draw(st.sampled_from(sorted(tree)))
                owner[key], tree[other] = copy.deepcopy(tree[other]), copy.deepcopy(owner[key])
            case "nest":
                owner[key] = {str(key): owner[key]}
    return tree


@fuzzed(4000)
@given(mutants(), st.sampled_from(["auto", "none", "cpu"]))
def test_law_a_changed_recipe_loads_or_is_refused_with_places(folder: Path, tree: Any, profile: str) -> None:
    resolved = loads_or_is_refused(written(folder, dump(tree)), profile=profile)
    if resolved is not None:
        again = load(written(folder, to_yaml(resolved)), profile="none", plugins=PLUGINS, gpu=True)
        assert again.tree == resolved.tree


@st.composite
def edited(draw: st.DrawFn) -> str:
    """The text of a recipe after some edits that know nothing of YAML."""
    text = SHIPPED[draw(NAMES)]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.just("") | PIECES | st.text(max_size=4)) + text[end:]
    return text


@fuzzed(2500)
@given(edited())
def test_law_an_edited_text_loads_or_is_refused_with_places(folder: Path, text: str) -> None:
    loads_or_is_refused(written(folder, text))


@fuzzed(1000)
@given(st.binary(max_size=200) | YAMLISH | st.text())
def test_law_any_bytes_load_or_are_refused(folder: Path, content: str | bytes) -> None:
    loads_or_is_refused(written(folder, content))


SCALARS = st.sampled_from([v for v in EXTREMES if not isinstance(v, dict | list)]).map(str)


@st.composite
def overridden(draw: st.DrawFn) -> tuple[str, list[str]]:
    """The name of a recipe, and overrides of its places."""
    name = draw(NAMES)
    words = []
    for _ in range(draw(st.integers(1, 4))):
        path = ".".join(map(str, draw(st.sampled_from(PLACES[name]))))
        path += draw(st.sampled_from(["", "", "", ".use", ".0", ".", "..x", ".from", ".k", " "]))
        value = draw(SCALARS | YAMLISH | st.sampled_from(COMPONENTS) | TREES.map(json.dumps))
        words.append(draw(st.sampled_from(["{}={}", "{}={}", "{}={}", "{} {}", "={}{}", "{}{}="])).format(path, value))
    return name, words


@fuzzed(2400)
@given(overridden(), st.booleans())
def test_law_any_overrides_load_or_are_refused_with_places(
    folder: Path, case: tuple[str, list[str]], gpu: bool
) -> None:
    name, words = case
    loads_or_is_refused(written(folder, SHIPPED[name]), *words, gpu=gpu)


@fuzzed(100)
@given(overridden())
def test_law_the_command_line_ends_with_0_or_2(folder: Path, case: tuple[str, list[str]]) -> None:
    name, words = case
    path = written(folder, SHIPPED[name])
    with pytest.raises(SystemExit) as stopped:
        main(["validate", str(path), "--", *words])
    assert stopped.value.code in (0, 2, None)
