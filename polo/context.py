"""What a component is given when it is built: its options, and what it may use. Loads nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polo.data import Splits


@dataclass(frozen=True)
class Choice:
    """A component picked by a recipe: kind, name and validated options (an instance of its dataclass, or ``None``)."""

    kind: str
    name: str
    options: Any = None
    #: ``distribution/name``: which of several components of one name
    qualified: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a component may use while it is built. Later kinds see more: a loss sees ``splits``, a data source does not.

    Args:
        seed: the recipe's seed; every component derives its own randomness from it.
        cache: folder for files that can be made again (written to a temporary name, then renamed).
        build: turns a :class:`Choice` (the value of a ``Ref`` option) into a live object.
        splits: the loaded data, from the policy on.
        device: torch device name such as ``"cpu"`` or ``"cuda:0"``.
        say: prints one line for the user (to stderr).
        track: wraps an iterable in a progress bar: ``track(iterable, total, label)``.
        shard: weights will be spread over processes: a policy that follows :class:`polo.protocols.FillsParts` has none
            when it is built.
        kept: the folder in which the run keeps its base (``Based.keep_base``), if there is one already.
        kept_hash: what ``Based.base_hash`` gave of that base when the run began; another one must not be loaded.
    """

    seed: int
    cache: Path
    build: Callable[[Choice], Any]
    splits: Splits | None = None
    device: str = "cpu"
    say: Callable[[str], None] = field(default=lambda line: None)
    track: Callable[..., Any] = field(default=lambda iterable, total=None, label="": iterable)
    shard: bool = False
    kept: Path | None = None
    kept_hash: str = ""
