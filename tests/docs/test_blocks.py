"""Every block of the README and of docs/ says something that is so: commands parse, recipes hold, Python compiles.

Whole pages, command after command, as a reader runs them: ``nox -s docs`` (``test_pages.py``).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

import polo
from polo import cli
from polo.cli.common import open_recipe
from polo.cli.cp import cp as copy
from tests.docs.blocks import PAGES, Block, blocks
from tests.repository.sources import ROOT

#: what a block may be, ``text`` being what a program printed or a formula
LANGUAGES = {"sh", "python", "yaml", "json", "text"}
#: programs besides polo that pages tell people to call
PROGRAMS = {"python", "nox", "cd", "ls", "cat", "git", "export"}
NEEDS = {"data", "gpu", "vllm"}
ALL = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder with what a checkout has, to stand in."""
    for name in ("recipes", "examples", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(page: str, folder: Path) -> None:
    """The files that a page tells its reader to write."""
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")


def test_every_block_has_a_language_and_says_what_its_test_needs() -> None:
    assert len(ALL) > 40
    assert [block.place for block in ALL if block.language not in LANGUAGES] == []
    assert {block.needs for block in ALL} <= {"", *NEEDS}


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_no_longer_than_120(page: str) -> None:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > 120 and not line.startswith(("|", "[!["))]
    assert long == []


@pytest.mark.parametrize("block", of("sh"), ids=lambda block: block.place)
def test_law_every_command_is_one_and_takes_its_words(block: Block, folder: Path) -> None:
    files(block.page, folder)
    whole = typer.main.get_command(cli.app)
    for program, *words in block.commands():
        if program != "polo":
            assert program in PROGRAMS, f"{block.place}: {program}"
            continue
        assert words[0] in cli.COMMANDS, f"{block.place}: polo {words[0]}"
        command = whole.get_command(None, words[0])  # type: ignore[attr-defined]
        rest = words[1:]
        if hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        given = command.make_context(" ".join(words), rest).params
        if words[0] == "cp":
            copy(given["name"], given["dest"])
        recipe = given.get("recipe")
        if recipe and not block.later and not (folder / recipe).is_dir():
            profile = given.get("profile") or "auto"
            open_recipe(
                recipe,
                given.get("overrides"),
                profile,
                given.get("plugin"),
                trust_plugins=True,
                builds=False,
                quiet=True,
            )


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: block.place)
def test_law_every_recipe_holds_and_every_part_of_one_fits_into_one(block: Block, folder: Path) -> None:
    if block.title.endswith(".yml"):
        assert yaml.safe_load(block.text)
        return
    files(block.page, folder)
    whole = re.search(r"^(polo|extends):", block.text, re.MULTILINE)
    path = folder / (block.title or "part.yaml")
    if not block.title:
        head = "" if whole else "extends: recipes/quickstart.yaml\n"
        path.write_text(head + block.text, encoding="utf-8")
    if not block.later:
        open_recipe(str(path), None, "auto", trust_plugins=True, builds=False, quiet=True)


@pytest.mark.parametrize("block", of("python"), ids=lambda block: block.place)
def test_law_python_compiles_and_asks_polo_for_names_that_it_has(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module == "polo":
            assert {alias.name for alias in node.names} <= set(polo.__all__), block.place


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if {block.language for block in blocks(page)} <= {"python", "text"} and blocks(page)],
)
def test_pages_that_only_compute_hold(page: str, tmp_path: Path) -> None:
    """Pages without commands: their arithmetic takes a second."""
    for block in blocks(page):
        if block.language == "python":
            env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
            subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, env=env, check=True)


def test_blocks_are_read_as_they_stand(tmp_path: Path, monkeypatch) -> None:  # else the laws would hold of nothing
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    text = '<!-- needs: data -->\n\n```sh\npolo a "b c" \\\n  d=1 && polo e | x # f\n```\n\n- in a list\n\n'
    text += '    ```yaml title="g.yaml"\n    h: 1\n    ```\n'
    (tmp_path / "page.md").write_text(text)
    one, two = blocks("page.md")
    assert (one.needs, one.line, list(one.commands())) == (
        "data", 3, [["polo", "a", "b c", "d=1"], ["polo", "e"], ["x"]],
    )  # fmt: skip
    assert (two.language, two.title, two.text, two.needs) == ("yaml", "g.yaml", "h: 1\n", "")
