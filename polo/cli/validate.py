"""``polo validate``: everything that is wrong in a recipe, for people, programs and code review."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from polo.cli.common import (
    NoPluginOption,
    OverridesArgument,
    PluginOption,
    ProfileOption,
    RecipeArgument,
    TrustOption,
    open_recipe,
)
from polo.cli.output import print_error, print_json, print_text
from polo.errors import InputError, Problem, RecipeError


class Format(StrEnum):
    """How problems are printed."""

    text = "text"
    json = "json"
    github = "github"


def validate(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    profile: ProfileOption = "auto",
    format_: Annotated[Format, typer.Option("--format", help="How problems are printed.")] = Format.text,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Check a recipe without running it. Exit code 2 if something is wrong."""
    try:
        resolved, _ = open_recipe(
            recipe, overrides, profile, plugin, no_plugin, trust_plugins=trust_plugins, builds=False
        )
    except InputError as error:
        problems = error.problems if isinstance(error, RecipeError) else [Problem(error.where, error.what, error.fix)]
        if format_ is Format.text:
            print_error(error)
        elif format_ is Format.json:
            print_json({"ok": False, "problems": [_as_json(problem) for problem in problems]})
        else:
            for problem in problems:
                print(_as_github(problem))
        sys.exit(error.exit_code)
    if format_ is Format.json:
        print_json({"ok": True, "name": resolved.recipe.name, "profile": resolved.profile, "problems": []})
    elif format_ is Format.text:
        stages = ", ".join(resolved.recipe.stages)
        profile_text = f", profile {resolved.profile}" if resolved.profile else ""
        print_text(f"ok: {resolved.recipe.name} (stages: {stages}{profile_text})", "green")


def _place(where: str) -> tuple[str, int | None, int | None]:
    """``file:line:column`` taken apart; other places whole."""
    pieces = where.rsplit(":", 2)
    if len(pieces) == 3 and pieces[1].isdigit() and pieces[2].isdigit():
        return pieces[0], int(pieces[1]), int(pieces[2])
    return where, None, None


def _as_json(problem: Problem) -> dict[str, Any]:
    file, line, column = _place(problem.where)
    found: dict[str, Any] = {"where": problem.where, "what": problem.what, "fix": problem.fix}
    return found if line is None else {**found, "file": file, "line": line, "column": column}


def _as_github(problem: Problem) -> str:
    """A workflow command, which marks the line in a review (docs.github.com, "Workflow commands")."""
    file, line, column = _place(problem.where)
    text = problem.what + (f" -> {problem.fix}" if problem.fix else "")
    if line is None:
        return f"::error::{_escaped(f'{problem.where}: {text}')}"
    name = _escaped(file).replace(":", "%3A").replace(",", "%2C")
    return f"::error file={name},line={line},col={column}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
