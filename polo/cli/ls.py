"""``polo ls``: what is installed, and what was run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from polo.cli.common import JsonOption, NoPluginOption, PluginOption, open_plugins
from polo.cli.output import print_heading, print_json, print_list, print_table, print_text
from polo.errors import InputError
from polo.plugin.load import Plugins
from polo.run.opening import shipped_recipes
from polo.store.shapes import parsed
from polo.words import did_you_mean

#: what a user types -> kind of component
PLURALS: Mapping[str, str] = {
    "samplers": "sampler",
    "betas": "beta",
    "losses": "loss",
    "evaluators": "evaluator",
    "baselines": "baseline",
    "policies": "policy",
    "data": "data",
    "bases": "base",
    "optimisers": "optimiser",
    "averages": "average",
    "scorers": "scorer",
    "encoders": "encoder",
    "audits": "audit",
    "trackers": "tracker",
    "launchers": "launcher",
}
THINGS = (*PLURALS, "recipes", "plugins", "runs")


def ls(
    thing: Annotated[
        str | None, typer.Argument(metavar="[THING]", help=f"One of: {', '.join(THINGS)}.", show_default=False)
    ] = None,
    json: JsonOption = False,
    runs: Annotated[Path, typer.Option(help="The folder of runs.")] = Path("runs"),
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
) -> None:
    """List components, recipes, plugins or runs; without THING, an overview."""
    plugins = open_plugins(plugin, no_plugin)
    if thing is None:
        _overview(plugins, json)
        return
    rows = _rows(thing, plugins, runs)
    if json:
        print_json(rows)
    elif not rows:
        print_text("no runs yet: polo run RECIPE" if thing == "runs" else f"no {thing} installed")
    elif thing == "runs":
        print_table(
            ["name", "rows", "results"], [[row["name"], str(row["rows"] or ""), row["headline"]] for row in rows]
        )
    elif thing == "recipes":
        print_table(["name", "summary"], [[row["name"], row["summary"]] for row in rows])
    elif thing == "plugins":
        print_table(["name", "distribution", "status"], [[row["name"], row["dist"], row["status"]] for row in rows])
    else:
        cells = [[row["name"], row["summary"], row["source"], row["dist"]] for row in rows]
        print_table(["name", "summary", "source", "distribution"], cells)


def _rows(thing: str, plugins: Plugins, runs: Path) -> list[dict[str, Any]]:
    singular = {kind: plural for plural, kind in PLURALS.items()} | {"recipe": "recipes", "run": "runs"}
    thing = singular.get(thing, thing)
    if thing in PLURALS:
        return components(plugins, PLURALS[thing])
    if thing == "recipes":
        return [
            {"name": item.name, "summary": item.summary(), "path": str(item.path), "dist": item.record.dist}
            for item in shipped_recipes(plugins)
        ]
    if thing == "plugins":
        return [
            {"name": record.entry, "dist": record.dist, "version": record.version, "status": record.status,
             "error": record.error}
            for record in plugins.records
        ]  # fmt: skip
    if thing == "runs":
        return [_run(path.parent) for path in sorted(runs.glob("*/results.json"))]
    raise InputError(f"nothing to list is called {thing!r}", fix=did_you_mean(thing, THINGS))


def components(plugins: Plugins, kind: str) -> list[dict[str, Any]]:
    """Components of a kind, as data."""
    catalogue = plugins.catalogue
    return [
        {
            "name": name,
            "kind": kind,
            "summary": entry.component.summary,
            "source": entry.component.source,
            "tags": list(entry.component.tags),
            "dist": entry.dist,
            "version": entry.version,
        }
        for name, entry in zip(catalogue.names(kind), catalogue.entries(kind), strict=True)
    ]


def _run(folder: Path) -> dict[str, Any]:
    """A finished run; one whose results cannot be read is listed all the same."""
    row: dict[str, Any] = {"name": folder.name, "path": str(folder), "rows": None, "results": {}, "headline": ""}
    try:
        results = parsed((folder / "results.json").read_text(encoding="utf-8"))
        row["rows"] = results["rows"]
        row["results"] = {metric: cell["value"] for metric, cell in results["systems"].get("model", {}).items()}
        row["headline"] = "  ".join(f"{metric} {value:.3f}" for metric, value in list(row["results"].items())[:3])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        row["headline"] = "results.json cannot be read"
    return row


def _overview(plugins: Plugins, json: bool) -> None:
    names: dict[str, list[str]] = {plural: plugins.catalogue.names(kind) for plural, kind in PLURALS.items()}
    names["recipes"] = [item.name for item in shipped_recipes(plugins)]
    if json:
        print_json([{"name": thing, "count": len(items), "items": items} for thing, items in names.items()])
        return
    print_list([(thing, ", ".join(items)) for thing, items in names.items() if items])
    broken = [record for record in plugins.records if record.status == "broken"]
    if broken:
        print_heading(f"{len(broken)} plugin(s) failed to load; see: polo plugins")
    print_text("more: polo ls THING, polo describe KIND/NAME", "dim")
