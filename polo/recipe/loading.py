"""From a recipe file, a profile and overrides to a validated recipe.

Knows the order of layers: ``extends`` (the oldest first), the file, the chosen profile, overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polo.errors import InputError, PoloError, Problem, RecipeError
from polo.plugin.load import Plugins
from polo.plugin.trust import Trust, digest, unasked_file, unasked_program
from polo.recipe.checks import check
from polo.recipe.dump import dump
from polo.recipe.merge import merge, overlay
from polo.recipe.model import Recipe, Resolved
from polo.recipe.node import Node, found
from polo.recipe.options import Place, Validation
from polo.recipe.plain import to_plain
from polo.recipe.reader import read_file
from polo.words import did_you_mean

#: words of ``--profile`` that are no profile of the recipe
PROFILE_WORDS = ("auto", "none", "gpu")
#: files in one chain of ``extends``
_MAX_CHAIN = 16


def load(
    path: Path | str,
    *,
    overrides: Iterable[str] = (),
    profile: str = "auto",
    plugins: Plugins,
    gpu: bool,
    trust: Trust | None = None,
) -> Resolved:
    """Reads, merges and validates a recipe. Imports no torch.

    Args:
        path: the recipe file.
        overrides: ``a.b.c=value`` words.
        profile: ``auto`` (``cpu`` if there is no GPU and the recipe has such a profile), ``none`` or ``gpu`` (no
            profile), or the name of one.
        plugins: where components are found; plugin files that the recipe names are loaded into it, as far as trusted.
        gpu: whether there is a GPU.
        trust: what the recipe may have executed; nothing but what overrides name, if not given.

    Raises:
        RecipeError: everything that is wrong in it, or what it names that is not trusted.
        InputError: the file cannot be read.
    """
    path = Path(path)
    problems: list[Problem] = []
    tree, text = _chain(path, problems)
    chosen, layer = _profile(tree, profile, gpu, problems)
    words = tuple(overrides)
    tree = tree.without("profiles", "extends")
    if layer is not None:
        tree = merge(tree, layer, problems)
    tree = merge(tree, overlay(words, Path.cwd(), problems), problems)
    trust = trust or Trust()
    asked: list[Problem] = []
    tree = _load_plugins(tree, plugins, trust, problems, asked)
    if asked:  # what these files would declare is not known, so nothing can be said of what uses it
        raise RecipeError(asked)
    walk = Validation(plugins.catalogue, problems)
    recipe = walk.dataclass(Recipe, tree, ())
    if trust.builds:
        problems += [
            unasked_program(node.where, option, node.value)
            for option, node in walk.programs if not trust.own(node.where, node.folder)
        ]  # fmt: skip
    problems += [problem for problem in check(tree, plugins) if problem not in problems]
    if problems:
        raise RecipeError(sorted(problems, key=_position))
    plain = to_plain(recipe)
    origins = {place: walk.origins.get(place, "default") for place in _leaves(plain)}
    return Resolved(
        recipe=recipe,
        tree=plain,
        origins=origins,
        profile=chosen,
        text=text,
        overrides=words,
        changed=() if layer is None else _settings(layer.plain()),
    )


def to_yaml(resolved: Resolved) -> str:
    """The resolved recipe as YAML, every value written out; loads to the same tree again."""
    return dump(resolved.tree)


def _chain(path: Path, problems: list[Problem], seen: tuple[Path, ...] = ()) -> tuple[Node, str]:
    """A file on top of what it extends."""
    tree, text = read_file(path)
    node = tree.child("extends")
    if node is None or node.value is None:
        return tree, text
    if not isinstance(node.value, str):
        problems.append(Problem(node.where, f"extends: found {found(node)}, expected the path of one recipe"))
        return tree, text
    seen = (*seen, path.resolve())
    try:
        target = path.parent / Path(node.value).expanduser()
        if target.resolve() in seen:
            raise InputError("the recipes extend each other in a circle", fix="let one of them stand alone")
        if len(seen) >= _MAX_CHAIN:
            raise InputError(f"more than {_MAX_CHAIN} recipes extend each other")
        base, _ = _chain(target, problems, seen)
    except RecipeError as error:
        problems += error.problems
    except InputError as error:
        problems.append(Problem(node.where, f"extends: {node.value}: {error.what}", error.fix))
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL byte, a loop of links
        problems.append(Problem(node.where, f"extends: {found(node)} is no path: {error}"))
    else:
        tree = merge(base.without("extends"), tree.without("extends"), problems)
    return tree, text


def _profile(tree: Node, wanted: str, gpu: bool, problems: list[Problem]) -> tuple[str | None, Node | None]:
    """The chosen profile's name and layer."""
    node = tree.child("profiles")
    profiles: dict[str, Node] = {}
    if node is not None and isinstance(node.value, Mapping):
        profiles = dict(node.value)
    elif node is not None and node.value is not None:
        problems.append(Problem(node.where, f"profiles: found {found(node)}, expected a mapping of profiles"))
    for name, layer in profiles.items():
        where = node.keys.get(name, layer.where) if node is not None else layer.where
        if name in PROFILE_WORDS:
            problems.append(Problem(where, f"a profile cannot be called {name!r}", "it has a meaning of its own"))
        if not isinstance(layer.value, Mapping):
            problems.append(Problem(layer.where, f"profiles.{name}: found {found(layer)}, expected a mapping"))
        problems += [
            Problem(layer.keys[key], f"profiles.{name}: {key!r} cannot stand in a profile")
            for key in ("extends", "profiles")
            if layer.child(key) is not None
        ]
    name = wanted if wanted != "auto" else "none" if gpu or "cpu" not in profiles else "cpu"
    if name in ("none", "gpu"):
        return None, None
    if name not in profiles:
        fix = did_you_mean(name, [*profiles, *PROFILE_WORDS])
        problems.append(Problem("--profile", f"the recipe has no profile {name!r}", fix))
        return None, None
    layer = profiles[name].without("extends", "profiles")
    return name, layer if isinstance(layer.value, Mapping) else None


def _load_plugins(tree: Node, plugins: Plugins, trust: Trust, problems: list[Problem], asked: list[Problem]) -> Node:
    """Loads the trusted ones of the plugin files that the recipe names, and makes the paths of all absolute."""
    node = tree.child("plugins")
    if node is None or not isinstance(node.value, tuple) or not isinstance(tree.value, Mapping):
        return tree
    files = []
    for item in node.value:
        files.append(item)
        if not isinstance(item.value, str):
            continue  # the types say so
        try:
            path = ((item.folder or Path()) / Path(item.value).expanduser()).absolute()
            error = "" if path.stem in trust.without else _load_plugin(path, item, plugins, trust, asked)
        except PoloError as refused:
            problems.append(Problem(item.where, f"plugins: {item.value}: {refused.what}", refused.fix))
        except (OSError, ValueError, RuntimeError) as no_path:
            problems.append(Problem(item.where, f"plugins: {found(item)} is no path: {no_path}"))
        else:
            files[-1] = Node(str(path), item.where, item.folder)
            if error:
                problems.append(Problem(item.where, f"plugin file {item.value} failed to load: {error}"))
    return Node({**tree.value, "plugins": Node(tuple(files), node.where)}, tree.where, tree.folder, tree.keys)


def _load_plugin(path: Path, item: Node, plugins: Plugins, trust: Trust, asked: list[Problem]) -> str:
    """Loads one file, if that may be done and is not done yet; says why it is broken, if it is."""
    file, now = path.resolve(), digest(path)
    wanted = trust.remembered(file) or now
    done = next((r for r in plugins.records if r.local and (r.file == str(file) or r.sha256 == wanted)), None)
    if done is None and not trust.own(item.where, item.folder):
        asked.append(unasked_file(item.where, path, wanted))
        return ""
    record = done or plugins.load_file(path)
    return record.error if record.status == "broken" else ""


def _leaves(tree: Any, place: Place = ()) -> list[Place]:
    """Places of all scalars, of lists, and of empty mappings."""
    if isinstance(tree, Mapping) and tree:
        return [leaf for key, item in tree.items() for leaf in _leaves(item, (*place, key))]
    if isinstance(tree, list):
        return [place, *(leaf for index, item in enumerate(tree) for leaf in _leaves(item, (*place, index)))]
    return [place]


def _settings(layer: Any) -> tuple[str, ...]:
    """What a layer sets, as dotted paths; a component by its place, a list as a whole."""
    places = [place[:-1] if place[-1:] == ("use",) else place for place in _leaves(layer)]
    whole = [place for place in places if not any(isinstance(key, int) for key in place)]
    return tuple(".".join(map(str, place)) for place in dict.fromkeys(whole))


def _position(problem: Problem) -> tuple[str, int, int]:
    """Sorts by file, line and column; other places keep their order at the end."""
    pieces = problem.where.rsplit(":", 2)
    if len(pieces) == 3 and pieces[1].isdigit() and pieces[2].isdigit():
        return pieces[0], int(pieces[1]), int(pieces[2])
    return "\U0010ffff", 0, 0
