"""New plugins from templates: their files, what is refused, and two kinds that work without being installed.

Every kind, installed and run: ``nox -s scaffold`` (``test_scaffold_installed.py``).
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
import yaml

from polo.errors import InputError
from polo.plugin.component import KINDS
from polo.plugin.scaffold import TEMPLATES, scaffold, words
from tests.plugin.trees import installed, run


def made(name: str, kind: str) -> dict[str, str]:
    return scaffold(words(name, kind, "0.1.0"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_complete_package_of_files_that_parse(kind: str) -> None:
    files = made("near-miss", kind)
    module = "src/polo_plugin_near_miss"
    assert set(files) == {
        ".github/workflows/ci.yml", ".gitignore", "README.md", "noxfile.py", "pyproject.toml", f"{module}/__init__.py",
        f"{module}/component.py", f"{module}/options.py", f"{module}/py.typed",
        f"{module}/recipes/near_miss_toy.yaml", "tests/test_contract.py",
    }  # fmt: skip
    for path, text in files.items():
        if path.endswith(".py"):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= 120, path
        elif path.endswith((".yml", ".yaml")):
            assert yaml.safe_load(text)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "polo-plugin-near-miss"
    assert project["entry-points"]["polo"] == {"polo_plugin_near_miss": "polo_plugin_near_miss"}
    assert project["dependencies"] == ["polo-rec>=0.1,<0.2"]
    assert "${{ matrix.python }}" in files[".github/workflows/ci.yml"]


def test_there_are_templates_for_the_kinds_and_for_nothing_else() -> None:
    assert {path.name for path in (TEMPLATES / "kinds").iterdir()} == set(KINDS)


@pytest.mark.parametrize("name", ["x", "polo-plugin-x", "polo_plugin_x"])
def test_the_prefix_may_be_given_or_not(name: str) -> None:
    assert words(name, "loss", "0.1.0")["dist"] == "polo-plugin-x"
    assert words(name, "loss", "0.1.0")["component"] == "x"


@pytest.mark.parametrize(
    "name", ["", "X", "a b", "a/b", "../a", "1a", "a--b", "a-", "class", "polo-plugin-", "x" * 41, "ä", "a\n"]
)
def test_a_name_that_no_package_can_have(name: str) -> None:
    with pytest.raises(InputError, match="is no name for a plugin"):
        words(name, "loss", "0.1.0")


def test_a_kind_that_is_none() -> None:
    with pytest.raises(InputError, match="did you mean 'sampler'"):
        words("x", "samplers", "0.1.0")


def test_the_command_writes_once_and_names_the_folder(polo, tmp_path: Path) -> None:
    code, out, err = polo("plugin", "new", "mine", "--kind", "loss", "--to", tmp_path)
    folder = tmp_path / "polo-plugin-mine"
    assert (code, out) == (0, f"{folder}\n")
    assert "polo run mine_toy" in err
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {str(path.relative_to(folder)) for path in before} == set(made("mine", "loss"))
    code, out, err = polo("plugin", "new", "mine", "--kind", "beta", "--to", tmp_path)
    assert (code, out) == (2, "")
    assert f"{folder}: exists already" in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_name_that_is_taken(polo, tmp_path: Path) -> None:
    code, _, err = polo("plugin", "new", "policy", "--kind", "scorer", "--to", tmp_path)
    assert code == 2
    assert "there is a scorer called 'policy', of polo-rec" in err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(polo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = polo("plugin", "new", "mine", "--kind", "loss", "--to", tmp_path / "file")
    assert code != 0
    assert "cannot write" in err


@pytest.mark.parametrize("kind", ["loss", "data"])
def test_a_new_plugin_passes_its_own_tests_and_runs_its_recipe(kind: str, tmp_path: Path) -> None:
    """As a file of its own, without pip: what pip would add is the entry point, which ``--plugin`` stands in for."""
    for path, text in made("mine", kind).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    env = installed(tmp_path, tmp_path / "site")
    run(["pytest", "-q", "-p", "no:cacheprovider", "tests"], tmp_path, env)
    run(["polo", "run", "mine_toy", "out=runs"], tmp_path, env)
