"""The reference is made from the code, is complete, and stops at whatever has no explanation."""

from __future__ import annotations

import re
from dataclasses import make_dataclass
from pathlib import Path

import pytest
import yaml

from docs.tools import commands, reference
from docs.tools.docstrings import inline, markdown
from docs.tools.reference import DIST
from docs.tools.tables import UndocumentedError
from polo import cli
from polo.plugin.component import KINDS, Component
from polo.plugin.load import load_plugins
from polo.recipe.fields import fields_of
from polo.recipe.schema import recipe_schema
from tests.repository.sources import ROOT


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


@pytest.mark.parametrize("kind", KINDS)
def test_law_every_component_and_each_of_its_options_is_on_the_page_of_its_kind(kind: str, pages) -> None:
    page = pages[f"components/{kind}.md"]
    entries = [entry for entry in load_plugins().catalogue.entries(kind) if entry.dist == DIST]
    for entry in entries:
        section = page.split(f"\n## {entry.name} {{")[1].split("\n## ")[0]
        options = entry.load_options()
        for item in fields_of(options) if options else ():
            assert f"| `{item.key}` |" in section


def test_law_every_key_of_the_schema_is_on_the_page_of_recipes(pages) -> None:
    schema = recipe_schema(load_plugins().catalogue)["properties"]
    stage = schema["stages"]["additionalProperties"]["properties"]
    mappings = {
        "A recipe": schema,
        "candidates": schema["candidates"]["properties"],
        "stages.NAME": stage,
        "stages.NAME.validate": stage["validate"]["properties"],
        "evaluate": schema["evaluate"]["properties"],
    }
    whole = pages["recipe.md"]
    for place, keys in mappings.items():
        section = whole.split(f"\n## {place}\n")[1].split("\n## ")[0]
        missing = [key for key in keys if f"| `{key}` |" not in section]
        assert missing == (["extends", "profiles"] if place == "A recipe" else []), place
    assert "| `extends` |" in whole
    assert "| `profiles.NAME` |" in whole


def test_law_every_command_and_each_of_its_options_is_on_the_page_of_commands(pages, polo) -> None:
    for name in cli.COMMANDS:
        _, shown, _ = polo(name, "--help")
        section = re.split(r"\n## (?!polo " + name + r"\b)", pages["commands.md"].split(f"\n## polo {name}\n")[1])[0]
        options = set(re.findall(r"^│ \*?\s+(--[a-z-]+)", shown, re.MULTILINE)) - {"--help"}
        assert [option for option in options if option not in section] == [], name


def test_the_pages_of_the_reference_are_those_of_the_navigation(pages) -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert set(re.findall(r"reference/([\w/]+\.md)", text)) == set(pages)
    assert yaml.safe_load(text)["strict"] is True


def test_a_hook_without_a_word_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(reference.hookspecs.polo_audits, "__doc__", None)
    with pytest.raises(UndocumentedError, match="hook polo_audits"):
        reference.hooks_page()
    with pytest.raises(UndocumentedError, match="hook polo_audits"):
        reference.component_page("audit", load_plugins().catalogue)


def test_an_option_without_a_word_is_refused() -> None:
    options = make_dataclass("Options", [("size", int, 3)], frozen=True, kw_only=True)
    with pytest.raises(UndocumentedError, match="loss/x, size"):
        reference.options_table("loss/x", fields_of(options, meanings=True))


@pytest.mark.parametrize("gap", ["summary", "about"])
def test_a_component_without_a_word_is_refused(gap: str, tmp_path: Path) -> None:
    text = '"""A formula."""' if gap == "summary" else ""
    summary = "" if gap == "summary" else "a loss"
    (tmp_path / "mine.py").write_text(f"""
from polo import {Component.__name__}, hookimpl


class Mine:
    {text or "x = 1"}


@hookimpl
def polo_loss_heads():
    return [Component(name="mine", build="mine:Mine", summary={summary!r})]
""")
    catalogue = load_plugins(files=[tmp_path / "mine.py"]).catalogue
    with pytest.raises(UndocumentedError, match="loss/mine"):
        reference.component(catalogue.find("loss", "mine"), catalogue)


def test_a_command_and_an_option_of_one_without_a_word_are_refused(monkeypatch) -> None:
    name, command = next(commands.commands())
    monkeypatch.setattr(commands, "commands", lambda: iter([(name, command)]))
    monkeypatch.setattr(command.params[0], "help", "")
    with pytest.raises(UndocumentedError, match="polo run, recipe"):
        commands.commands_page()
    monkeypatch.setattr(command, "help", None)
    with pytest.raises(UndocumentedError, match="command polo run"):
        commands.commands_page()


def test_docstrings_become_markdown() -> None:
    text = """L = a_j * b.

    With :class:`polo.scores.Draw` and ``x*y``:

        c = d_j

    - one
      goes on
    - two

    Args:
        a: first
            and more
        b: second

    Example:
        >>> 1 + 1
        2
    """
    assert markdown(text) == "\n\n".join([
        "L = a\\_j \\* b.", "With `Draw` and `x*y`:", "```text\nc = d_j\n```", "- one goes on\n- two",
        "**Arguments**", "- a: first and more\n- b: second", "**Example**", "```python\n>>> 1 + 1\n2\n```",
    ])  # fmt: skip
    assert inline("a <b> & [c]") == "a &lt;b&gt; &amp; \\[c\\]"
