"""A plugin of polo's own is named once, in its entry point; everything else follows from its folder."""

from __future__ import annotations

import re
import tomllib

import pytest

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
