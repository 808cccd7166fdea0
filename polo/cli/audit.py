"""``polo audit``: can numbers on this data, under this protocol, be trusted? Asks before any model is trained."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polo.cli.common import (
    JsonOption,
    NoPluginOption,
    OverridesArgument,
    PluginOption,
    ProfileOption,
    TrustOption,
    open_plugins,
    open_recipe,
)
from polo.cli.output import flush, note, print_heading, print_json, print_text
from polo.errors import InputError, Problem, RecipeError
from polo.plugin.component import Ref
from polo.recipe.model import Candidates, Recipe
from polo.run.opening import find_recipe

if TYPE_CHECKING:
    from polo.audit.verdicts import Check
    from polo.plugin.load import Plugins

#: exit code when a check fails and --strict is given
FAILED = 3


@dataclass(frozen=True, kw_only=True)
class DataOnly:
    """What ``polo audit DATA`` takes of a recipe."""

    data: Ref["data"]
    candidates: Candidates = field(default_factory=Candidates)


def audit(
    what: Annotated[
        str,
        typer.Argument(metavar="RECIPE|DATA", help="A recipe, or the name of a data source", show_default=False),
    ],
    overrides: OverridesArgument = None,
    profile: ProfileOption = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 3 if a check fails.")] = False,
    json: JsonOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Check data and candidate lists: what `polo ls audits` lists."""
    checks = _checks(what, overrides or (), profile, plugin, no_plugin, trust_plugins=trust_plugins)
    if json:
        print_json({"checks": [check.plain() for check in checks]})
    else:
        _print(checks)
    if strict and any(check.finding.verdict == "fail" for check in checks):
        flush()
        sys.exit(FAILED)


def _checks(
    what: str,
    overrides: Sequence[str],
    profile: str,
    plugin: Iterable[Path] | None,
    no_plugin: Iterable[str] | None,
    *,
    trust_plugins: bool,
) -> list[Check]:
    name = what.removeprefix("data/")
    plugins = None if _exists(what) else open_plugins(plugin, no_plugin)
    recipe: DataOnly | Recipe
    split: Literal["valid", "test"] = "test"
    if plugins is not None and name in plugins.catalogue.names("data"):
        if profile not in ("auto", "none"):
            raise InputError(f"a data source has no profile {profile!r}", where=what, fix="give a recipe that has it")
        recipe = _data_only(name, overrides, plugins)
    else:
        if plugins is not None:
            _find(what, plugins)
        resolved, plugins = open_recipe(
            what, overrides, profile, plugin, no_plugin, trust_plugins=trust_plugins, builds=False
        )
        recipe, split = resolved.recipe, resolved.recipe.evaluate.split

    from polo.audit.verdicts import audited, check
    from polo.context import Context
    from polo.run.compose import cache_dir
    from polo.run.own import goes_with

    catalogue = plugins.catalogue

    def build(choice: Any) -> Any:
        return catalogue.find(choice.kind, choice.qualified or choice.name).load_build()(choice.options, context)

    context = Context(seed=0, cache=cache_dir(), build=build, say=lambda line: note(line, "dim"))
    splits = build(recipe.data).load()
    audits = {}
    for audit_name in catalogue.names("audit"):
        entry = catalogue.find("audit", audit_name)
        options = entry.load_options()
        made = entry.load_build()(None if options is None else options(), context)
        if goes_with(made, splits):
            audits[audit_name] = made
    return check(audits, audited(splits, recipe.candidates, split=split))


def _exists(what: str) -> bool:
    try:
        return Path(what).exists()
    except (OSError, ValueError):  # too long, or a NUL byte
        return False


def _data_only(name: str, overrides: Sequence[str], plugins: Plugins) -> DataOnly:
    """A data source by name, with ``data.*`` and ``candidates.*`` overrides."""
    from polo.recipe.merge import overlay
    from polo.recipe.options import Validation

    problems: list[Problem] = []
    node = overlay([f"data.use={name}", *overrides], Path(), problems)
    walk = Validation(plugins.catalogue)
    found = walk.dataclass(DataOnly, node, ())
    problems += walk.problems
    if problems:
        raise RecipeError(problems)
    assert isinstance(found, DataOnly)
    return found


def _find(what: str, plugins: Plugins) -> None:
    """Names both ways of asking where neither fits."""
    try:
        find_recipe(what, plugins)
    except InputError as error:
        sources = ", ".join(plugins.catalogue.names("data"))
        raise InputError(
            "neither a recipe nor a data source", where=what, fix=f"{error.fix}; data sources are: {sources}"
        ) from None


def _print(checks: Sequence[Check]) -> None:
    from polo.audit.verdicts import short_form, style_of

    for check in checks:
        finding = check.finding
        figure = "" if finding.figure is None else f"  {finding.figure:.3f}"
        print_heading(f"{check.name}: {finding.verdict}{figure}")
        print_text(f"  {finding.meaning}", style_of(finding.verdict) if finding.verdict != "ok" else "")
        if finding.fix:
            print_text(f"  -> {finding.fix}", "green")
    print_text(f"\n{short_form(checks)[-1][0]}")
