"""The rungs of a diagnosis: one recipe with simpler and simpler vectors of items. Knows options of a policy that are
encoders, and what encoders say of their peers; trains nothing and names no encoder.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from polo.context import Choice
from polo.errors import InputError
from polo.plugin.catalogue import Catalogue
from polo.protocols import Peers
from polo.recipe.dump import flow
from polo.recipe.fields import fields_of, ref_kind, union_of
from polo.recipe.model import Recipe
from polo.recipe.plain import to_plain
from polo.words import did_you_mean

KIND = "encoder"


@dataclass(frozen=True)
class Rung:
    """One way to come by vectors of items.

    Args:
        name: what it is called, such as ``"lsa"`` or ``"pca + norm"``.
        overrides: what it changes of the recipe.
    """

    name: str
    overrides: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The name as part of a folder's name."""
        return re.sub(r"[^A-Za-z0-9._]+", "-", self.name).strip("-") or "rung"


def ladder(recipe: Recipe, catalogue: Catalogue) -> list[Rung]:
    """Every rung below and at the recipe's own: no encoder, the innermost one, its transforms with their peers.

    A transform is an encoder with an option that is an encoder. Where a transform's class names peers
    (:class:`polo.Peers`), these stand before it; what the recipe puts around the transform is put around the first of
    them too.

    Raises:
        InputError: the policy has no option for an encoder, or the recipe names none.
    """
    found = next(_encoders(recipe.policy.options), None)
    if found is None:
        raise InputError(
            f"policy '{recipe.policy.name}' of this recipe has no encoder of items, so there is nothing to compare",
            where="policy",
            fix="name one: see polo ls encoders, and the policy's options in polo describe",
        )
    path, choice, optional = found
    key = f"policy.{'.'.join(path)}"
    chains = _chains(choice, catalogue)
    rungs = [Rung("no encoder", (f"{key}=null",))] if optional else []
    return [*rungs, *(Rung(_name(one), (f"{key}={flow(to_plain(one))}",)) for one in chains)]


def _encoders(options: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Choice, bool]]:
    """Path, value, and whether it may be left out, of each encoder among options, however deep."""
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return
    for item in fields_of(type(options)):
        value, here = getattr(options, item.attribute), (*path, item.key)
        if isinstance(value, Choice):
            if value.kind == KIND:
                yield here, value, len(union_of(item.hint)) > 1
        else:
            yield from _encoders(value, here)


def _inner(choice: Choice) -> tuple[str, Choice] | None:
    """The option of an encoder that is another one: attribute and value."""
    options = choice.options
    if options is None:
        return None
    for item in fields_of(type(options)):
        if ref_kind(item.hint) == KIND:
            return item.attribute, getattr(options, item.attribute)
    return None


def _chains(choice: Choice, catalogue: Catalogue) -> list[Choice]:
    """The encoder itself, last, and all that it is put together from, simplest first."""
    inner = _inner(choice)
    if inner is None:
        return [choice]
    attribute, within = inner
    below = _chains(within, catalogue)
    peers = _peers(choice, catalogue)
    first = [p for p in _peers(within, catalogue)[:1] if choice.options is not None]
    around = [dataclasses.replace(choice, options=dataclasses.replace(choice.options, **{attribute: p})) for p in first]
    return [*below, *peers, *around, choice]


def _peers(choice: Choice, catalogue: Catalogue) -> Sequence[Choice]:
    built = catalogue.find(choice.kind, choice.qualified or choice.name).load_build()
    return built.peers(choice.options) if isinstance(built, Peers) else ()


def _name(choice: Choice) -> str:
    """``pca``, or ``pca + norm``; an encoder that transforms nothing by itself is called by its name too."""
    inner = _inner(choice)
    if inner is None or _inner(inner[1]) is None:
        return choice.name
    return f"{_name(inner[1])} + {choice.name}"


def chosen(rungs: Sequence[Rung], words: Sequence[str]) -> list[Rung]:
    """The rungs that words name, in that order; ``NAME: KEY=VALUE ...`` makes one of its own. All for no word.

    Raises:
        InputError: a word names no rung, or two rungs have one name.

    Example:
        >>> found = chosen([Rung("lsa", ("a=1",))], ["lsa", "wide: policy.dim=8 'b={c: 1}'"])
        >>> [(one.name, one.overrides) for one in found]
        [('lsa', ('a=1',)), ('wide', ('policy.dim=8', 'b={c: 1}'))]
    """
    if not words:
        return list(rungs)
    by_name = {one.name: one for one in rungs}
    found: list[Rung] = []
    for word in words:
        name, colon, changes = word.partition(": ")
        if word in by_name:
            found.append(by_name[word])
        elif colon:
            found.append(Rung(name.strip(), tuple(shlex.split(changes))))
        else:
            fix = did_you_mean(word, by_name, label="rungs") or "or make one: --rung 'NAME: KEY=VALUE'"
            raise InputError(f"no rung is called {word!r}", where="--rung", fix=fix)
    twice = [one.slug for one in found]
    if len(set(twice)) < len(twice):
        raise InputError("two rungs have one name", where="--rung", fix="call them differently")
    return found


def together(words: Sequence[str], changes: Sequence[str]) -> list[str]:
    """Overrides of a recipe with those of a rung, which hold already what the former say of the same key or below it.

    Example:
        >>> together(["policy.items.encoder.k=3", "seed=1"], ["policy.items.encoder={use: lsa}"])
        ['seed=1', 'policy.items.encoder={use: lsa}']
    """
    keys = [change.partition("=")[0] for change in changes]
    said = [word for word in words if not any(f"{word.partition('=')[0]}.".startswith(f"{key}.") for key in keys)]
    return [*said, *changes]
