"""What an objective is put together from: samplers, betas, losses, and what they may say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from polo.data import Ragged, Rows
from polo.protocols.finding import Drawn, Top

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from polo.randomness import RowRandom
    from polo.scores import Draw, Scores


#: what a loss head may need; compose checks that the stage and the policy offer it
#: negatives: at least one kept negative; reference: ``scores.ref``; tokens: meaningful ``scores.tokens``;
#: logprob: ``scores.unit == "logprob"``; whole_batch: all rows of the batch in one call; mismatched: KTO's pairs
#: catalogue: ``scores.log_total``, from a policy that embeds
#: end (averages): the stage ends where it says, and not when a measurement was no better
#: top_items: a policy that finds its best items of the catalogue itself, so that what samplers peek with does too
#: draw_items: the same of a policy that draws items by its own distribution
#: items: items that any row may have; data whose answers belong to their rows are refused
#: history (policies, baselines): rows that show what came before; data without order or time, whose rows show nothing,
#: are refused
#: given_lists: training rows whose data bring a list with each
Need = Literal[
    "negatives",
    "reference",
    "tokens",
    "logprob",
    "whole_batch",
    "mismatched",
    "log_q",
    "catalogue",
    "top_items",
    "draw_items",
    "end",
    "items",
    "history",
    "given_lists",
]
#: what a sampler may say of its draws beyond items (its attribute ``gives``)
Gift = Literal["log_q"]


@runtime_checkable
class Peek(Protocol):
    """The policy without gradients, for samplers that look before they draw: ``peek(rows, items) -> [B, n]``."""

    def __call__(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]: ...


@runtime_checkable
class PeekTop(Peek, Protocol):
    """What samplers that need ``top_items`` are given to peek with."""

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None) -> Top:
        """The policy's best items of the whole catalogue, see :class:`~polo.protocols.TopItems`."""


@runtime_checkable
class PeekDraw(Peek, Protocol):
    """What samplers that need ``draw_items`` are given to peek with."""

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        """Items drawn by the policy's own distribution, see :class:`~polo.protocols.DrawsItems`."""


@runtime_checkable
class Sampler(Protocol):
    """Draws negatives before scoring, selects among them after."""

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """K negatives for each row. Row i's draw depends on row i and ``rng`` alone (tag ``batchwise`` if not)."""

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        """Which scored negatives enter the loss; ``scores`` carry no gradient. Never more than ``valid_rejected``."""


@runtime_checkable
class Refresh(Protocol):
    """A sampler that looks at all training rows between epochs."""

    def refresh(self, epoch: int, rows: Rows, peek: Peek) -> None:
        """Called before the first step of every epoch (0 too) with the stage's training rows."""


@runtime_checkable
class Beta(Protocol):
    """Strength of the preference, pair by pair."""

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        """Strength of each negative, no gradient; ``scores`` carry none.

        0 takes a negative out of the loss (the engine clears its ``keep``). Samplers and betas may declare ``needs``
        as losses do; a component with running statistics moves them in ``after_step(step)``, not when it is called.
        """


@runtime_checkable
class Loss(Protocol):
    """A loss head: from scores to a loss of each row."""

    needs: frozenset[Need]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        """Loss of each row; 0 for a row with no kept negative if the head needs negatives."""


@runtime_checkable
class AtZero(Protocol):
    """A head that knows its value when policy = reference; the engine checks it at step 0 in eval mode."""

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]: ...


@runtime_checkable
class Stateful(Protocol):
    """State that is saved in checkpoints: a flat dict of tensors, numbers and strings."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Needing(Protocol):
    """A sampler, beta, average or policy (its class) that says what it needs, as every loss does."""

    needs: frozenset[Need]


@runtime_checkable
class Giving(Protocol):
    """A sampler that says more of its draws than items."""

    gives: frozenset[Gift]


@runtime_checkable
class Drawing(Protocol):
    """A sampler that says how many negatives a draw holds, for the plan of a run."""

    @property
    def k(self) -> int: ...


@runtime_checkable
class BeforeStep(Protocol):
    """A policy, sampler, beta or loss that is told before the gradient of a step is computed."""

    def before_step(self, step: int) -> None: ...


@runtime_checkable
class AfterStep(Protocol):
    """A sampler, beta or loss that is told when the gradient of a step is there: running statistics move here."""

    def after_step(self, step: int) -> None: ...


def needs_of(component: object) -> frozenset[Need]:
    """What a component says that it needs; nothing if it says nothing."""
    return component.needs if isinstance(component, Needing) else frozenset()


def gives_of(component: object) -> frozenset[Gift]:
    """What a sampler's draws hold besides items."""
    return component.gives if isinstance(component, Giving) else frozenset()
