"""A plugin of polo's own is named once, in its entry point; everything else follows from its folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.repository.sources import PLUGINS, ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_folder_of_plugins_has_an_entry_point_and_every_entry_point_a_folder() -> None:
    entries = dict(SETTINGS["project"]["entry-points"]["polo"])
    assert entries.pop("polo_core") == "polo.plugin.builtin"
    assert entries == {name: name for name in PLUGINS}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_no_list_names_a_plugin(plugin: str) -> None:
    """A path into one plugin is no list of plugins; its bare name in quotes is the start of one."""
    for name in ("pyproject.toml", "noxfile.py"):
        bare = re.findall(rf"^(?!{plugin} = ).*[\"',]{plugin}[\"',].*$", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        assert bare == [], f"{name}: derive it from the folders of plugins/"


def test_the_wheel_takes_whatever_lies_in_plugins() -> None:
    wheel = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["polo", "plugins"]
    assert wheel["sources"] == ["plugins"]


def test_every_folder_of_plugins_is_a_package() -> None:
    folders = {path.name for path in (ROOT / "plugins").iterdir() if any(path.rglob("*.py"))}
    assert folders == set(PLUGINS)


@pytest.mark.parametrize("package", ["polo", *(f"plugins/{name}" for name in PLUGINS)])
def test_whoever_imports_a_package_gets_its_types(package: str) -> None:
    """PEP 561: without the marker a type checker takes every name of an installed package for Any."""
    assert (ROOT / package / "py.typed").is_file()
    assert "Typing :: Typed" in SETTINGS["project"]["classifiers"]


def test_the_citation_names_the_version_that_is_built() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["version"] == SETTINGS["project"]["version"]
    assert cited["license"] == SETTINGS["project"]["license"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_the_forms_and_workflows_are_yaml_and_run_sessions_that_exist(path: Path) -> None:
    read = yaml.safe_load(path.read_text("utf-8"))
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    for job in read.get("jobs", {}).values():
        named = job.get("strategy", {}).get("matrix", {}).get("session", [])
        assert set(named) <= set(sessions)
        assert named or "nox" not in str(job), "a job names its session in its matrix"
    if "jobs" not in read:
        assert {"name", "description", "body"} <= set(read)


def test_a_release_is_checked_before_it_is_published_and_needs_no_secret() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["build"]["strategy"]["matrix"]["session"] == ["release"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets" not in text


@pytest.mark.parametrize("name", ["LICENSE", "CITATION.cff", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"])
def test_what_a_project_tells_its_visitors_is_there(name: str) -> None:
    assert len((ROOT / name).read_text("utf-8")) > 300
