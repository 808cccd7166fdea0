"""The tree of tests follows the tree of sources, and test modules stand alone."""

from __future__ import annotations

import re

import pytest

from tests.repository.sources import ROOT, imports, modules

#: folders of tests about more than one room, and why each is no room
ACROSS = {
    "benchmarks": "the scripts of benchmarks/",
    "examples": "the plugins of examples/",
    "docs": "the pages of docs/ and the README, and what they tell people to run",
    "contracts": "what every component of a kind keeps, whichever plugin it comes from",
    "mutants": "whether the other tests notice a change of the sources",
    "oracles": "other libraries as judges",
    "recipes": "the recipes that come with polo",
    "repository": "the sources themselves",
}
#: modules of polo that stand in no room, and may have a test of their own beside the folders
ALONE = {path.stem for path in (ROOT / "polo").glob("*.py")}


def test_every_folder_of_tests_is_a_room_or_says_what_else_it_is() -> None:
    rooms = {path.parent.name for folder in ("polo", "plugins") for path in (ROOT / folder).glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    assert folders - rooms == set(ACROSS)


def test_a_test_beside_the_folders_is_about_a_module_beside_the_rooms() -> None:
    assert {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")} <= ALONE


@pytest.mark.parametrize("path", list(modules("tests")), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_a_test_module(path) -> None:
    """What two test modules need lies in a module of helpers; fixtures alone lie in conftest."""
    parts = [(line, f"{module}.{name}".split(".")) for line, module, name in imports(path)]
    wrong = [
        line for line, part in parts if part[0] == "tests" and any(p.startswith(("test_", "conftest")) for p in part)
    ]
    assert wrong == []


def test_every_path_that_the_page_for_contributors_names_is_there() -> None:
    named = re.findall(
        r"`((?:polo|plugins|tests|recipes|benchmarks)/[\w/.]*)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    )
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
