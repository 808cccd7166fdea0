"""``polo describe``: everything that is declared about one component, without importing what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from polo.cli.common import JsonOption, NoPluginOption, PluginOption, open_plugins
from polo.cli.ls import PLURALS
from polo.cli.output import print_commented, print_heading, print_json, print_list, print_table, print_text
from polo.cli.source import source_of
from polo.errors import InputError
from polo.plugin.catalogue import Catalogue, Entry
from polo.plugin.component import KINDS
from polo.recipe.dump import dump, flow
from polo.recipe.fields import Field, fields_of, inside, list_of, peel, phrase, ref_kind, union_of
from polo.recipe.plain import to_plain
from polo.words import did_you_mean

#: where a recipe holds a component of a kind: key, and whether it is a list there
_KEYS: Mapping[str, tuple[str, bool]] = {
    "evaluator": ("evaluators", True),
    "baseline": ("baselines", True),
    "tracker": ("trackers", True),
}


def describe(
    what: Annotated[str, typer.Argument(metavar="KIND/NAME", help="A component's kind and name.", show_default=False)],
    json: JsonOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
) -> None:
    """Explain one component: summary, paper, options, source and an example."""
    catalogue = open_plugins(plugin, no_plugin).catalogue
    entry = _find(what, catalogue)
    options = entry.load_options()
    fields = [] if options is None else fields_of(options, meanings=True)
    if json:
        print_json(_as_json(entry, fields))
        return
    code, about = source_of(entry)
    print_heading(f"{entry.kind}/{entry.name}")
    print_text(entry.component.summary)
    if about:
        print_text(f"\n{about}")
    print_text("")
    facts = {
        "paper": entry.component.source,
        "tags": ", ".join(entry.component.tags),
        "from": entry.record.label,
        "code": code,
    }
    print_list([(name, fact) for name, fact in facts.items() if fact])
    print_text("")
    if fields:
        print_table(["option", "type", "default", "meaning"], option_rows(fields))
    else:
        print_text("no options")
    print_text("")
    required = {item.key for item in fields if item.required}
    example = example_of(entry, fields, catalogue)
    print_commented(dump(example, note=lambda place: "required" if place and place[-1] in required else ""))


def _find(what: str, catalogue: Catalogue) -> Entry:
    kind, slash, name = what.partition("/")
    kind = PLURALS.get(kind, kind)
    if slash and kind in KINDS:
        return catalogue.find(kind, name)
    found = [entry for each in KINDS for entry in catalogue.entries(each) if what in (entry.name, entry.qualified)]
    if len(found) == 1:
        return found[0]
    if found:
        ways = [f"{entry.kind}/{entry.name if slash else entry.qualified}" for entry in found]
        raise InputError(f"several components are called {what!r}", fix=f"say which: {', '.join(ways)}")
    names = [f"{each}/{entry.name}" for each in KINDS for entry in catalogue.entries(each)]
    if not slash:
        names += [entry.name for each in KINDS for entry in catalogue.entries(each)]
    raise InputError(f"no component is called {what!r}", fix=did_you_mean(what, names, label="see polo ls; there are"))


def option_rows(fields: list[Field], place: str = "", owners: tuple[type[Any], ...] = ()) -> list[list[str]]:
    """A line for each option; what a mapping holds follows it, under its path (``of[].weight``)."""
    rows = []
    for item in fields:
        key = place + item.key
        rows.append([key, _type(item), _default(item), item.meaning])
        found = inside(item.hint)
        if found and found[1] not in owners:  # else it holds others of its own kind
            rows += option_rows(fields_of(found[1], meanings=True), f"{key}{found[0]}.", (*owners, found[1]))
    return rows


def _type(item: Field) -> str:
    return phrase(item.hint).replace(" (a name, or a mapping with 'use')", "")


def _default(item: Field) -> str:
    return "required" if item.required else flow(to_plain(item.default))


def example_of(entry: Entry, fields: list[Field], catalogue: Catalogue) -> dict[str, Any]:
    """A recipe's lines with this component: its options at their defaults, and samples of those that are required."""
    body: dict[str, Any] = {"use": entry.name}
    for item in fields:
        body[item.key] = _sample(item, entry, catalogue) if item.required else to_plain(item.default)
    key, many = _KEYS.get(entry.kind, (entry.kind, False))
    return {key: [body]} if many else {key: body}


def _sample(item: Field, entry: Entry, catalogue: Catalogue) -> Any:
    """A value that shows the form of a required option."""
    hint = item.hint
    found = None if ref_kind(hint) else inside(hint)
    if found and found[0] in ("", "[]"):
        body = {inner.key: _sample(inner, entry, catalogue) for inner in fields_of(found[1]) if inner.required}
        return [body] if found[0] else body
    hint = union_of(peel(hint)[0])[0] if ref_kind(hint) is None else hint
    if kind := ref_kind(hint):
        names = [name for name in catalogue.names(kind) if name != entry.name]
        return {"use": names[0] if names else "NAME"}
    inner, marks = peel(hint)
    if list_of(inner):
        return []
    least = max((getattr(mark, "ge", None) or getattr(mark, "gt", None) or 0 for mark in marks), default=0)
    samples = {bool: True, int: int(least) or 1, float: float(least) or 1.0}
    return samples.get(inner, "...")


def _as_json(entry: Entry, fields: list[Field]) -> dict[str, Any]:
    code, about = source_of(entry)
    return {
        "name": entry.name,
        "kind": entry.kind,
        "summary": entry.component.summary,
        "source": entry.component.source,
        "tags": list(entry.component.tags),
        "dist": entry.dist,
        "version": entry.version,
        "about": about,
        "code": code,
        "options": _options(fields),
    }


def _options(fields: list[Field], owners: tuple[type[Any], ...] = ()) -> list[dict[str, Any]]:
    """Options for programs; ``options`` of one are those that a mapping in it holds."""
    listed = []
    for item in fields:
        found = inside(item.hint)
        more = found and found[1] not in owners and _options(fields_of(found[1], meanings=True), (*owners, found[1]))
        listed.append(
            {
                "name": item.key,
                "type": _type(item),
                "required": item.required,
                **({} if item.required else {"default": to_plain(item.default)}),
                "meaning": item.meaning,
                **({"options": more} if more else {}),
            }
        )
    return listed
