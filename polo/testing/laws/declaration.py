"""What holds of every declaration, whatever its kind: it can be listed, explained, validated and built."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from functools import cache
from typing import Any

from polo import protocols
from polo.errors import PoloError
from polo.plugin.catalogue import Entry
from polo.plugin.component import KINDS
from polo.recipe.fields import fields_of
from polo.recipe.schema import component_schema
from polo.testing.subject import Subject

#: what must not be loaded by a listing: a recipe is checked in less time than torch takes to load
HEAVY = ("torch", "transformers", "scipy")
#: kind -> protocol of what is built, where it is not called like the kind
_PROTOCOLS = {"data": "DataSource"}


def says_what_it_is(subject: Subject) -> None:
    """The declaration has a summary, and what builds the component has a docstring."""
    entry = declared(subject)
    assert entry.component.summary.strip(), "no summary: listings have nothing to say of it"
    assert (entry.load_build().__doc__ or "").strip(), f"{entry.component.build} has no docstring"


def options_are_frozen(subject: Subject) -> None:
    """Options are a frozen dataclass whose fields are given by name."""
    options = declared(subject).load_options()
    if options is not None:
        assert options.__dataclass_params__.frozen, f"{options.__name__}: write @dataclass(frozen=True, kw_only=True)"
        assert all(field.kw_only for field in dataclasses.fields(options)), f"{options.__name__}: kw_only=True"


def options_are_explained(subject: Subject) -> None:
    """Every option has a comment that begins with `#:` above it."""
    options = declared(subject).load_options()
    for field in [] if options is None else fields_of(options, meanings=True):
        assert field.meaning, f"option {field.key!r} has no `#:` line"


def options_have_a_schema(subject: Subject) -> None:
    """A JSON Schema can be made of the options, so that editors can complete them."""
    assert subject.catalogue is not None
    json.dumps(component_schema(subject.catalogue, declared(subject)), allow_nan=False)


def lists_without_torch(subject: Subject) -> None:
    """Importing the plugin and the options of its components loads no torch, transformers or scipy."""
    record = declared(subject).record
    if record.local:
        return  # executed as a file; `polo plugins` shows how long it took
    targets = {component.options for _, component in record.components if component.options}
    modules = {record.module, *(target.partition(":")[0] or record.module for target in targets)}
    loaded = heavy(tuple(sorted(modules)))
    assert not loaded, f"importing {', '.join(sorted(modules))} loads {loaded}: import it inside what needs it"


def builds(subject: Subject) -> None:
    """`build(options, context)` gives an object with the methods of its kind, whose protocol it follows."""
    made = subject.new()
    protocol = protocol_of(subject.kind)
    lacking = "" if protocol is None or isinstance(made, protocol) else ", ".join(missing(made, protocol))
    assert not lacking, f"{type(made).__name__} has no {lacking}: see polo.{protocol and protocol.__name__}"


def declared(subject: Subject) -> Entry:
    """The declaration of a component."""
    assert subject.entry is not None, "laws of declarations are asked of declared components"
    return subject.entry


def protocol_of(kind: str) -> Any:
    """What every component of a kind must follow; ``None`` where nothing is laid down."""
    assert kind in KINDS
    found = vars(protocols)
    return found.get(_PROTOCOLS.get(kind, kind.capitalize()))


def missing(made: object, protocol: Any) -> list[str]:
    """The members of a protocol that an object has not."""
    names = {name for owner in protocol.__mro__[:-1] for name in (*vars(owner), *inspect.get_annotations(owner))}
    wanted = sorted(name for name in names if name == "__call__" or not name.startswith("_"))
    return [name for name in wanted if not hasattr(made, name)]


@cache
def heavy(modules: tuple[str, ...]) -> str:
    """Which heavy modules a new Python has loaded after it imported these; asked once for each plugin."""
    code = f"import sys, {', '.join(modules)}\nprint(', '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PoloError(f"cannot import {', '.join(modules)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


LAWS = (says_what_it_is, options_are_frozen, options_are_explained, options_have_a_schema, lists_without_torch)
