"""A component under test: how it is built anew, what it says of itself, and the data that it is shown.

Knows contexts, options and stand-ins; knows no law.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from polo.context import Choice, Context
from polo.data import Splits
from polo.errors import Problem, RecipeError
from polo.plugin.catalogue import Catalogue, Entry
from polo.plugin.component import Ref
from polo.plugin.load import Plugins
from polo.recipe.fields import fields_of, ref_kind
from polo.recipe.merge import overlay
from polo.recipe.options import Validation
from polo.testing.stand_ins import KINDS_AT_HAND, NAME, RECORD
from polo.testing.world import context, small_splits


@dataclass
class Subject:
    """What laws are asked of.

    Args:
        kind: its kind.
        build: makes the component, anew at each call, with a context.
        tags: of its declaration; some of them take a law back.
        entry: its declaration, where there is one.
        catalogue: what else is installed.
        splits: the data that it is shown; a small made-up world if not given.
    """

    kind: str
    build: Callable[[Context], Any]
    tags: frozenset[str] = frozenset()
    entry: Entry | None = None
    catalogue: Catalogue | None = None
    splits: Splits = field(default_factory=small_splits)

    @classmethod
    def of(
        cls, plugins: Plugins, kind: str, name: str, options: Mapping[str, Any] | None = None, **world: Any
    ) -> Subject:
        """An installed component.

        Args:
            plugins: where it is found.
            kind, name: as a recipe names it.
            options: as a recipe writes them; what must be given and is a component is a stand-in if it is left out.
            world: ``splits``, if not the made-up ones.

        Raises:
            InputError: there is no such component.
            RecipeError: the options are not its.
        """
        catalogue = Catalogue([*plugins.records, RECORD])
        entry = catalogue.find(kind, name)
        made: list[Any] = []

        def build(ctx: Context) -> Any:
            if not made:
                made.append(options_of(catalogue, entry, options or {}))
            return entry.load_build()(made[0], ctx)

        return cls(kind, build, frozenset(entry.component.tags), entry, catalogue, **world)

    def says(self, tag: str) -> bool:
        """Whether its declaration has this tag."""
        return tag in self.tags

    def new(self, splits: Splits | None = None, *, seed: int = 0) -> Any:
        """The component, built anew.

        Args:
            splits: other data than its own.
            seed: the recipe's seed.
        """
        import torch

        torch.manual_seed(seed)  # as the engine does before it builds a policy

        def inner(choice: Choice) -> Any:
            assert self.catalogue is not None
            found = self.catalogue.find(choice.kind, choice.qualified or choice.name)
            return found.load_build()(choice.options, ctx)

        shown = None if self.kind == "data" else splits or self.splits
        ctx = context(splits=shown, seed=seed, build=inner, cache=self.folder)
        return self.build(ctx)

    @cached_property
    def folder(self) -> Path:
        """A folder for files, removed with this object."""
        made = Path(tempfile.mkdtemp(prefix="polo-check-"))
        weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return made

    def empty_folder(self) -> Path:
        """A new folder inside :attr:`folder`."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def options_of(catalogue: Catalogue, entry: Entry, written: Mapping[str, Any]) -> Any:
    """The validated options of a component, as a recipe's would be; ``None`` for one without options.

    Raises:
        RecipeError: they are not its.
    """
    options = entry.load_options()
    value = {"use": entry.qualified, **written}
    for item in [] if options is None else fields_of(options):
        kind = ref_kind(item.hint)
        if item.required and item.key not in written and kind in KINDS_AT_HAND:
            value[item.key] = f"{RECORD.dist}/{NAME}"
    problems: list[Problem] = []
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 16, allow_unicode=True).strip()
    node = overlay([f"{entry.kind}={text}"], Path(), problems).child(entry.kind)
    walk = Validation(catalogue, problems)
    choice = None if node is None else walk.value(Ref[entry.kind], node, (entry.kind,))
    if problems or choice is None:
        raise RecipeError(problems)
    return choice.options
