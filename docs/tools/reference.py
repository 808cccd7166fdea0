"""The reference, made from what the code says of itself: hooks, protocols, components, recipe keys, commands.

Knows the same sources as ``polo describe``, ``polo ls`` and ``--help``. What has no word of explanation is an error
here, so that it cannot be left out. Writes no files: :func:`pages` gives path -> Markdown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import polo
from docs.tools.commands import commands_page
from docs.tools.docstrings import cell, inline, markdown
from docs.tools.tables import table, told
from polo import errors, protocols
from polo.cli.describe import example_of, option_rows
from polo.cli.source import source_of
from polo.plugin import hookspecs
from polo.plugin.catalogue import Catalogue, Entry
from polo.plugin.component import KINDS
from polo.plugin.load import load_plugins
from polo.recipe.dump import dump
from polo.recipe.fields import fields_of
from polo.recipe.model import Candidates, Evaluate, Recipe, Stage, Validate

#: the distribution whose components are described, whatever else is installed beside it
DIST = "polo-rec"
#: what a notebook calls
DOOR = ("run", "load", "evaluate", "recommend")
#: mapping of a recipe -> where its keys are declared
MAPPINGS: Mapping[str, type[Any]] = {
    "": Recipe,
    "candidates": Candidates,
    "stages.NAME": Stage,
    "stages.NAME.validate": Validate,
    "evaluate": Evaluate,
}
COLUMNS = ["option", "type", "default", "meaning"]
RECIPE_KEYS = (
    "`polo show RECIPE` prints a recipe with every default filled in and the origin of each value, `polo schema` the "
    "JSON Schema that editors understand. Where a type is a kind of component, its own options stand beside "
    "`use:`; the page of that kind lists them."
)
PROTOCOLS = (
    "What the engine asks of a component, kind by kind; it asks with `isinstance` and never for a name. All of them "
    "are public names of `polo`. `polo plugin check` and `polo.testing` try them on a component."
)
PARTS = (
    "[Recipe keys](recipe.md) · [Commands](commands.md) · [From Python](python.md) · [Hooks](hooks.md) · "
    "[Protocols](protocols.md)"
)


def options_table(what: str, fields: list[Any], *, inner: bool = True) -> str:
    """The options of a component with those inside mappings, or the keys of a recipe without."""
    rows = []
    for key, kind, default, meaning in option_rows(fields):
        if not inner and "." in key:
            continue
        rows.append([f"`{key}`", cell(kind), f"`{default}`".replace("|", "\\|"), cell(told(f"{what}, {key}", meaning))])
    return table(COLUMNS, rows)


def component_page(kind: str, catalogue: Catalogue) -> str:
    """Every component of a kind."""
    said = told(f"hook {KINDS[kind]}", getattr(hookspecs, KINDS[kind]).__doc__)
    entries = [entry for entry in catalogue.entries(kind) if entry.dist == DIST]
    body = [
        f"# Components: {kind}",
        f"{linked(said, '../protocols.md')} `polo describe {kind}/NAME` says in a terminal what stands here.",
    ]
    body += [component(entry, catalogue) for entry in entries]
    return "\n\n".join(body) + "\n"


def linked(text: str, page: str) -> str:
    """What a hook says, on one line, with a link to the protocol that it names."""
    before, mark, name = " ".join(text.split()).rstrip(".").partition(":class:`polo.protocols.")
    protocol = name.rstrip("`")
    return (
        inline(before) + (f"What each must offer: [{protocol}]({page}#{protocol})." if mark else "") + "." * (not mark)
    )


def component(entry: Entry, catalogue: Catalogue) -> str:
    """One component: what it computes, its paper, its options and its lines of a recipe."""
    what = f"{entry.kind}/{entry.name}"
    options = entry.load_options()
    fields = [] if options is None else fields_of(options, meanings=True)
    about = told(f"the class or function of {what}", source_of(entry)[1])
    facts = [("Paper", inline(entry.component.source)), ("Tags", ", ".join(f"`{tag}`" for tag in entry.component.tags))]
    parts = [
        f"## {entry.name} {{ #{entry.name} }}",
        f"*{inline(told(what, entry.component.summary))}*",
        markdown(about),
        "  \n".join(f"{name}: {fact}" for name, fact in facts if fact),
        options_table(what, fields) if fields else "No options.",
        f"```yaml\n{dump(example_of(entry, fields, catalogue))}```",
    ]
    return "\n\n".join(part for part in parts if part)


def recipe_page() -> str:
    """Every key of a recipe, a table for each mapping."""
    body = ["# Recipe keys", RECIPE_KEYS]
    for place, owner in MAPPINGS.items():
        fields = fields_of(owner, meanings=True)
        body.append(f"## {place or 'A recipe'}\n\n{inline(told(f'recipe, {place}', owner.__doc__).splitlines()[0])}")
        body.append(options_table(f"recipe, {place}", fields, inner=False))
    more = [
        ["`extends`", "text", "`null`", "the recipe below this one, relative to this file"],
        ["`profiles.NAME`", "a mapping", "`{}`", "changes by name; `cpu` is taken where there is no GPU"],
    ]
    body.append(f"## Around it\n\nMerged in before a recipe is checked.\n\n{table(COLUMNS, more)}")
    return "\n\n".join(body) + "\n"


def hooks_page() -> str:
    """Every hook: signature, meaning, and the kind of component that it collects."""
    kinds = {hook: kind for kind, hook in KINDS.items()}
    body = ["# Hooks", markdown(told("polo.plugin.hookspecs", hookspecs.__doc__))]
    for name, function in hooks().items():
        what = linked(told(f"hook {name}", function.__doc__), "protocols.md")
        if name in kinds:
            what += f"\n\nThe components that polo brings: [{kinds[name]}](components/{kinds[name]}.md)."
        body.append(f"## {name} {{ #{name} }}\n\n{signature(name, function)}\n\n{what}")
    return "\n\n".join(body) + "\n"


def hooks() -> Mapping[str, Callable[..., Any]]:
    """The hooks, in the order of the page that declares them."""
    return {name: each for name, each in vars(hookspecs).items() if name.startswith("polo_")}


class Written:
    """An annotation that is shown as it is written, without the quotes of a text."""

    def __init__(self, text: Any) -> None:
        self.text = str(text).replace("'", '"')

    def __repr__(self) -> str:
        return self.text


def signature(name: str, function: Callable[..., Any]) -> str:
    """A definition as code, its annotations as they are written."""
    found = inspect.signature(function)
    blank = inspect.Parameter.empty
    shown = [
        p if p.annotation is blank else p.replace(annotation=Written(p.annotation)) for p in found.parameters.values()
    ]
    back = found.return_annotation if found.return_annotation is blank else Written(found.return_annotation)
    return f"```python\ndef {name}{found.replace(parameters=shown, return_annotation=back)}: ...\n```"


def protocols_page() -> str:
    """What components must offer, and what they may offer besides."""
    body = [
        "# Protocols",
        PROTOCOLS,
    ]
    for name, found in sorted(declared().items()):
        body.append(f"## {name} {{ #{name} }}\n\n{markdown(told(f'protocol {name}', found.__doc__))}")
        body += members(found)
    return "\n\n".join(body) + "\n"


def declared() -> Mapping[str, type[Any]]:
    """The protocols by name."""
    return {
        name: found
        for name, found in vars(protocols).items()
        if isinstance(found, type) and getattr(found, "_is_protocol", False)
    }


def members(found: type[Any]) -> list[str]:
    """The attributes and methods that a protocol declares itself, with what is said of them."""
    attributes = vars(found).get("__annotations__", {})
    shown = "\n".join(f"{name}: {Written(kind)}" for name, kind in attributes.items())
    parts = [f"```python\n{shown}\n```"] if shown else []
    for name, function in vars(found).items():
        if inspect.isfunction(function) and (name == "__call__" or not name.startswith("_")):
            parts += [signature(name, function), markdown(function.__doc__ or "")]
    return [part for part in parts if part]


def python_page() -> str:
    """What a notebook calls, and the errors."""
    from polo.door import calls
    from polo.door.result import Result

    body = ["# From Python", "`from polo import run, load, evaluate, recommend`."]
    for name in DOOR:
        function = getattr(calls, name)
        said = markdown(told(f"polo.{name}", function.__doc__))
        body.append(f"## {name} {{ #{name} }}\n\n{signature(name, function)}\n\n{said}")
    body.append(f"## Result\n\n{markdown(told('Result', Result.__doc__))}")
    for name, member in vars(Result).items():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and not name.startswith("_"):
            call = "" if isinstance(member, property) else "()"
            body.append(f"### {name}{call}\n\n{markdown(told(f'Result.{name}', function.__doc__))}")
    body.append("## Errors\n\nWhat a user can mend is a `PoloError`; anything else is a defect of polo.")
    found = (errors.PoloError, errors.InputError, errors.RecipeError, errors.Problem)
    body += [f"### {error.__name__}\n\n{markdown(told(error.__name__, error.__doc__))}" for error in found]
    return "\n\n".join(body) + "\n"


def index_page(catalogue: Catalogue) -> str:
    """Where to look."""
    rows = []
    for kind in KINDS:
        names = [f"`{e.name}`" for e in catalogue.entries(kind) if e.dist == DIST]
        rows.append([f"[{kind}](components/{kind}.md)", ", ".join(names)])
    return "\n\n".join([
        "# Reference",
        f"Made from the code of polo {polo.__version__}. What has no explanation there stops the build of these pages.",
        PARTS,
        table(["kind", "components"], rows),
    ]) + "\n"  # fmt: skip


def pages() -> dict[str, str]:
    """Path below ``reference/`` -> Markdown.

    Raises:
        UndocumentedError: a hook, protocol, component, option, recipe key, command or argument has no explanation.
    """
    catalogue = load_plugins().catalogue
    found = {
        "index.md": index_page(catalogue),
        "recipe.md": recipe_page(),
        "commands.md": commands_page(),
        "python.md": python_page(),
        "hooks.md": hooks_page(),
        "protocols.md": protocols_page(),
    }
    return found | {f"components/{kind}.md": component_page(kind, catalogue) for kind in KINDS}
