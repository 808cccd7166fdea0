"""What a plugin declares: components, their options, and options that are components themselves.

Knows how a component is described. Does not import what it describes (``build`` and ``options`` are import strings, so
that listing a hundred plugins costs nothing) and does not know how recipes are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from polo.context import Choice

#: version of the plugin contracts; raised when a contract changes in a way that breaks plugins
PLUGIN_API: Final = 1

#: kind of component -> the hook that collects it
KINDS: Mapping[str, str] = {
    "data": "polo_data_sources",
    "policy": "polo_policies",
    "base": "polo_bases",
    "sampler": "polo_negative_samplers",
    "beta": "polo_beta_schedules",
    "loss": "polo_loss_heads",
    "encoder": "polo_item_encoders",
    "optimiser": "polo_optimisers",
    "average": "polo_weight_averages",
    "scorer": "polo_scorers",
    "evaluator": "polo_evaluators",
    "baseline": "polo_baselines",
    "audit": "polo_audits",
    "tracker": "polo_trackers",
    "launcher": "polo_launchers",
}


@dataclass(frozen=True, kw_only=True)
class Component:
    """Declaration of one component: all that can be said about it without importing it.

    Args:
        name: what a recipe writes after ``use:``; lower case, words joined by ``_``.
        build: import string ``"package.module:attribute"`` of a callable ``(options, context) -> object``; a class
            whose ``__init__(self, options, context)`` takes the two is the usual form.
        options: import string of a frozen keyword-only dataclass, or ``None`` for a component without options.
        summary: one line for listings.
        source: paper and equation, such as ``"S-DPO, arXiv 2406.09215, eq. 8"``.
        tags: free words that listings can filter by. Some are looked for when a recipe lacks something or a training
            goes wrong, so that the message names what helps: ``log_q`` (a sampler that gives it), ``decode`` (a scorer
            that decodes), ``collapse`` (what is made against a collapse of preference optimisation).

    Example:
        >>> Component(name="mine", build="polo_plugin_x.mine:Mine", summary="my own loss").name
        'mine'
    """

    name: str
    build: str
    options: str | None = None
    summary: str = ""
    source: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefKind:
    """Marks an option's type as a reference to a component of ``kind``; made by ``Ref[kind]``."""

    kind: str


@dataclass(frozen=True)
class Program:
    """Marks an option whose value names a program that is started: ``python: Annotated[str | None, Program()]``.

    A value that a stranger's run or recipe brings is asked about before anything is built with it.
    """


if TYPE_CHECKING:
    from typing_extensions import TypeAliasType, TypeVar

    _Kind = TypeVar("_Kind")
    #: to a type checker, whatever the kind, the value is a Choice
    Ref = TypeAliasType("Ref", Choice, type_params=(_Kind,))
else:

    class Ref:
        """An option that is itself a component.

        ``Ref["sampler"]`` is the type of an option whose value in a recipe is ``{use: NAME, ...}`` or a bare name; the
        component receives a :class:`Choice` and turns it into a live object with ``context.build(choice)``.
        ``Ref["sampler"] | None`` and ``tuple[Ref["loss"], ...]`` work too, also inside nested dataclasses. A trailing
        underscore is dropped in recipes: the field ``from_`` is written ``from:``.

        Example:
            >>> Ref["loss"].__metadata__[0]
            RefKind(kind='loss')
        """

        def __class_getitem__(cls, kind: str) -> Any:
            if kind not in KINDS:
                raise TypeError(f"Ref[{kind!r}]: no such kind of component; kinds are {', '.join(KINDS)}")
            return Annotated[Choice, RefKind(kind)]
