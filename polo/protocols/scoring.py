"""Engines that score candidate lists at evaluation, and what they may do besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from polo.data import FloatArray, IntArray, Ragged, Rows
from polo.protocols.finding import Placed, Top
from polo.protocols.policy import Policy
from polo.protocols.ranking import Numbers
from polo.protocols.training import Need


@runtime_checkable
class Scorer(Protocol):
    """An engine that scores candidate lists at evaluation, where the policy itself does not."""

    def score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        """Sums of log-probabilities ``[N, n]`` and how many tokens each ran over ``[N, n]``."""


#: scores ``[b, n]`` of the lists of b rows, an array that is the caller's from then on; and how many tokens each ran
#: over (``None``: these are no sums of log-probabilities)
Every = Callable[[Rows], tuple[Numbers, IntArray | None]]


@runtime_checkable
class RanksAll(Protocol):
    """A scorer that can be asked for a whole catalogue, block by block; needed where ``candidates.n`` is ``all``."""

    def every(self, policy: Policy) -> Every:
        """What scores blocks of rows, whose lists hold every item in order, with the policy as it is now.

        What does not depend on rows is computed once, here.
        """


#: of b rows and the items that each asks for (what is relevant, then its target): by suffix of the metrics' names, the
#: best items and the places; and how many tokens each target's score ran over, ``[b]`` (``None``: these are no sums)
Finder = Callable[[Rows, Ragged], tuple[Mapping[str, Placed], IntArray | None]]


@runtime_checkable
class FindsPlaces(Protocol):
    """A scorer that has the best items and the places of relevant ones found in a whole catalogue, not all scored."""

    #: ranks beyond this one are not told apart; ``None``: every rank is found
    deepest: int | None

    def finder(self, policy: Policy) -> Finder:
        """What finds them with the policy as it is now.

        Raises:
            InputError: the policy finds none, or its weights are sharded.
        """


@runtime_checkable
class Generates(Protocol):
    """What a scorer may do besides: write completions in the policy's place."""

    def generate(self, policy: Policy, rows: Rows) -> list[str]:
        """Greedy completions of the rows' prompts, as ``policy.generate`` would give them."""


@runtime_checkable
class Chooses(Protocol):
    """What a scorer may do besides, for serving: decode one candidate instead of scoring all."""

    def choose(self, policy: Policy, rows: Rows, candidates: IntArray) -> IntArray:
        """Columns ``[N]`` of the candidates that greedy decoding arrives at when it may write nothing else; -1: none.

        Not the best-scored candidate: the token that is likeliest now may lead to titles that are unlikely as a whole.
        """


@runtime_checkable
class FindsBest(Protocol):
    """What a scorer may do besides, for serving: find the best items of the catalogue without scoring all of it."""

    def top_items(
        self, policy: Policy, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None
    ) -> Top:
        """What a policy that is :class:`~polo.protocols.TopItems` finds, with another engine in its place."""


@runtime_checkable
class Together(Protocol):
    """A scorer that says how it is called when there are several processes."""

    #: every process calls the policy, equally often, so that weights may be sharded
    together: bool


@runtime_checkable
class InParts(Protocol):
    """A scorer that is called for some rows at a time, so that an evaluation which is killed can go on."""

    part_rows: int


@runtime_checkable
class Rescores(Protocol):
    """A scorer that says whether its scores are the policy's own; evaluators that read log-ratios or log-probabilities
    of tokens out of scores are refused where they are not.
    """

    rescores: bool


@runtime_checkable
class Asks(Protocol):
    """A scorer for policies that need certain things of the data, such as a history."""

    asks: frozenset[Need]


@runtime_checkable
class Reports(Protocol):
    """A scorer that has something to say of its last call, such as how it agreed with the policy."""

    report: Mapping[str, Any] | None
