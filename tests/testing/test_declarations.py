"""The laws of declarations, each broken by an installed plugin."""

from __future__ import annotations

import sys

import pytest

from polo.plugin.load import load_plugins
from polo.testing import check_component
from polo.testing.laws import laws_of
from polo.testing.laws.declaration import LAWS, builds

OPTIONS = """
from dataclasses import dataclass

@dataclass(frozen=True, kw_only=True)
class Options:
    #: a number
    size: float = 1.0
"""
BUILD = """
class Mine:
    \"\"\"Keeps nothing.\"\"\"
    def __init__(self, options, context): ...
    def log(self, metrics): ...
    def close(self): ...
"""
PLUGIN = """
from polo import Component, hookimpl

@hookimpl
def polo_trackers():
    build, options = "{name}.build:Mine", "{name}.options:Options"
    return [Component(name="mine", build=build, options=options, summary="keeps nothing")]
"""
WAYS = {
    "says_what_it_is": (PLUGIN, OPTIONS, BUILD.replace('    """Keeps nothing."""\n', "")),
    "options_are_frozen": (PLUGIN, OPTIONS.replace("frozen=True, ", ""), BUILD),
    "options_are_explained": (PLUGIN, OPTIONS.replace("#:", "#"), BUILD),
    "options_have_a_schema": (PLUGIN, OPTIONS.replace("float = 1.0", "float = float('nan')"), BUILD),
    "lists_without_torch": (PLUGIN, f"import torch\n{OPTIONS}", BUILD),
    "builds": (PLUGIN, OPTIONS, BUILD.replace("def close", "def end")),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one package of three modules: what pip leaves behind, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("POLO_PLUGINS")

    def make(name: str, plugin: str, options: str, build: str) -> None:
        (tmp_path / name).mkdir()
        for file, text in {"__init__": plugin.format(name=name), "options": options, "build": build}.items():
            (tmp_path / name / f"{file}.py").write_text(text)
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[polo]\n{name} = {name}\n")

    yield make
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def test_every_law_of_declarations_is_broken_by_some_plugin() -> None:
    assert set(WAYS) == {law.__name__ for law in (*LAWS, builds)}
    assert laws_of("encoder")[: len(WAYS)] == laws_of("tracker")[: len(WAYS)] == [*LAWS, builds]


@pytest.mark.parametrize("law", [*WAYS, ""])
def test_a_broken_declaration_is_told_its_law(install, law) -> None:
    name = f"polo_plugin_{law or 'good'}"
    install(name, *WAYS.get(law, (PLUGIN, OPTIONS, BUILD)))
    said = {}
    for check in list(check_component("tracker", "mine", plugins=load_plugins()))[: len(WAYS)]:
        try:
            check()
        except (AssertionError, ValueError) as error:
            said[check.name] = str(error)
    assert set(said) == ({law} if law else set())
