"""What the JSON files of a run hold, and reading them so that whoever asks gets that or one sentence.

Knows shapes, not meanings. A file may come from a stranger, from a crash or from an editor: nothing in it is believed
before it has the shape that polo writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Le, MinLen
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from polo.errors import InputError


class Figure(TypedDict):
    """A mean with its interval."""

    value: float
    low: float
    high: float


class Comparison(TypedDict):
    """The model against another system."""

    b: str
    metric: str
    difference: float
    low: float
    high: float
    p: float


#: a figure that can be drawn
Drawn = Annotated[float, Ge(-1e100), Le(1e100)]


class Bin(TypedDict):
    """The rows of one bin."""

    label: Annotated[str, MinLen(1)]
    systems: Mapping[str, Mapping[str, Drawn]]


class Protocol(TypedDict):
    """What makes figures comparable."""

    data: str
    form: str
    split: str
    rows: int
    n: int | Literal["all"]
    negatives: str
    hash: str


class Results(TypedDict):
    """``results.json``."""

    protocol: Protocol
    rows: int
    users: int
    systems: Annotated[Mapping[str, Mapping[str, Figure]], MinLen(1)]
    comparisons: list[Comparison]
    whole: NotRequired[Mapping[str, Mapping[str, float]]]
    slices: NotRequired[Mapping[str, list[Bin]]]


class Named(TypedDict):
    """What is needed of a recipe to speak of its run."""

    name: str
    seed: NotRequired[int]
    stages: NotRequired[Mapping[str, Any]]


class Hashed(TypedDict):
    """A base by its bytes; empty for a policy without one."""

    sha256: str


class Listed(TypedDict):
    """A plugin."""

    entry: str
    distribution: str
    version: str


class Provenance(TypedDict):
    """``provenance.json``."""

    recipe: Named
    base: NotRequired[Hashed]
    policy: NotRequired[Mapping[str, Any]]
    protocol: NotRequired[Mapping[str, Any]]
    plugins: NotRequired[list[Listed]]
    hardware: NotRequired[Mapping[str, Any]]
    git: NotRequired[Mapping[str, Any]]
    data: NotRequired[Mapping[str, Any]]
    versions: NotRequired[Mapping[str, Any]]
    command: NotRequired[list[Any]]
    continued: NotRequired[list[Any]]


class Checked(TypedDict):
    """One audit."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    meaning: str
    fix: str


class Audits(TypedDict):
    """``audits.json``."""

    checks: list[Checked]


class Likely(TypedDict):
    """A candidate of an example."""

    title: str
    probability: Drawn


class Example(TypedDict):
    """One row with its ranked candidates, as ``eval/examples.json`` lists them."""

    history: list[str]
    target: str
    candidates: list[Likely]


def parsed(text: str) -> Any:
    """JSON as Python values that can be printed.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or holds half of a character.

    Example:
        >>> parsed("[" * 100_000)
        Traceback (most recent call last):
        ValueError: nested too deeply
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def read(path: Path, shape: Any, *, fix: str) -> Any:
    """A JSON file of a run.

    Args:
        path: the file.
        shape: the type that it must have, one of this module.
        fix: what to do about a file that is damaged.

    Raises:
        InputError: it is missing or damaged, or holds something else; says what and where.
    """
    try:
        value = parsed(path.read_text("utf-8"))
        TypeAdapter(shape).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(
            f"not what a run wrote: {f'{place}: ' if place else ''}{what}", where=str(path), fix=fix
        ) from None
    except FileNotFoundError:
        raise InputError("there is no such file in this run", where=str(path), fix=fix) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix=fix) from None
    return value
