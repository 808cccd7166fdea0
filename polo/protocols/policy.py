"""The model that is trained, and what it may say of itself besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from polo.data import BoolArray, IntArray, Rows
from polo.texts import Said

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from polo.context import Context
    from polo.scores import Unit


@runtime_checkable
class Policy(Protocol):
    """The model that is trained.

    ``module`` holds all trainable parameters; the engine wraps it (DDP, FSDP) and puts the wrapped one back, so a
    policy always calls ``self.module(batch)`` and does everything differentiable inside that one forward.
    """

    unit: Unit
    module: nn.Module
    #: which items a sampler may draw: the row's own list, or the whole catalogue
    pool: Literal["candidates", "catalogue"]

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Scores of ``items`` for each row; gradient flows when autograd is on."""

    def tokens(self, items: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        """How many tokens each score sums over (ones for similarities)."""

    def cost(self, rows: Rows, n: int) -> IntArray:
        """``[B]`` tokens that scoring n items takes for each row; what ``tokens_per_pass`` is compared with."""

    def keys(self, rows: Rows, items: Int[Tensor, "b n"]) -> list[bytes]:
        """``[B]`` 16-byte keys of exactly what is computed (token ids fed), for the reference cache."""

    def fingerprint(self) -> str:
        """Hash of everything but the trainable weights: base, tokenizer, prompt, dtype, engine."""

    def start_stage(self, name: str) -> None:
        """Called before each stage."""

    def save(self, folder: Path) -> None:
        """Writes trainable weights and what is needed to load them elsewhere (PEFT form) into an existing folder."""

    def load(self, folder: Path) -> None:
        """Loads trainable weights that ``save`` wrote."""


@runtime_checkable
class ExtraLoss(Protocol):
    """A policy with terms of its own in the loss of a step, such as an L2 term of the batch or a contrastive one."""

    def extra_loss(self, rows: Rows, items: Int[Tensor, "b n"]) -> Mapping[str, Float[Tensor, ""]]:
        """Terms by name, added to the mean loss of the step as they are; none of them: an empty mapping.

        Called once a step, however many passes and processes it is computed in, with what all of them saw, and under
        one random seed in all processes: each computes the whole terms, so that they need not exchange anything. What
        a term holds in memory is therefore that of a whole batch, whatever ``tokens_per_pass`` is. Where weights may be
        sharded, compute terms inside a call of ``module``: outside of it parameters are DTensors.

        Args:
            rows: the B rows of the batch, those of all processes.
            items: ``[B, 1+K]`` what was scored for each: its target, then its negatives;
                :data:`~polo.data.PAD` where fewer than K could be drawn.
        """


@runtime_checkable
class OnHost(Protocol):
    """A policy that reads item numbers on the host, to look up texts or to make keys: training gives them there.

    Fetching them back from a GPU would wait until all that was asked of it is done. Other policies are given items on
    the module's device. Whoever calls a policy with items that are on the device already may go on doing so.
    """

    items_on_host: Literal[True]


@runtime_checkable
class DeclaresUnit(Protocol):
    """A policy whose class says what its scores are, so that a loss which they do not suit is refused early."""

    unit: Unit


@runtime_checkable
class ReadsOwnTexts(Protocol):
    """A policy whose class says that it reads prompts and answers that belong to their rows (``Splits.own``).

    Its ``pool`` is then the row's list. Another policy knows items of a catalogue only and is refused.
    """

    reads_own_texts: bool


@runtime_checkable
class Spells(Protocol):
    """A policy that can say in text what it reads."""

    def spelled(self, rows: Rows, items: IntArray) -> Sequence[tuple[Said, Sequence[Said]]]:
        """Of each row its prompt, and what each of ``items [B, n]`` adds to it, without marks of begin and end.

        Read as the texts of a row's own they give the very tokens that the policy scores.
        """


@runtime_checkable
class Fits(Protocol):
    """A policy that cannot take every row."""

    def fits(self, rows: Rows) -> BoolArray:
        """``[B]`` which rows it can score with their titles; the others are left out, counted and named."""


@runtime_checkable
class Writes(Protocol):
    """A policy that writes text."""

    def generate(self, rows: Rows) -> list[str]:
        """Greedy completions of the rows' prompts."""


@runtime_checkable
class Shortens(Protocol):
    """A policy that may cut the beginning of long prompts off."""

    def shortened(self, rows: Rows) -> BoolArray:
        """``[B]`` which rows have lost something."""


#: what may be wrong with a policy that only its own options can mend
#: start: other scores than the reference, though both are the same weights; fit: no row can be scored
Trouble = Literal["start", "fit"]


@runtime_checkable
class Advises(Protocol):
    """A policy that knows which of its options mend what."""

    def advice(self, trouble: Trouble) -> str:
        """What a user may try, in words that complete an error message."""


def advice_of(policy: object, trouble: Trouble) -> str:
    """What the policy advises; empty if it knows nothing."""
    return policy.advice(trouble) if isinstance(policy, Advises) else ""


@runtime_checkable
class Based(Protocol):
    """A policy whose frozen part is a model on disk, or vectors that were made of something else."""

    def base_hash(self) -> str:
        """sha256 of the bytes of the base: weights, config, tokenizer. The same wherever the base lies.

        Empty where there is none, with the options at hand.
        """

    def keep_base(self, folder: Path) -> None:
        """The run keeps its base in ``folder``: what ``save`` writes names the base there, relative to itself.

        Puts the base there if it is not, by hard links where it can. A base that others can have by name (a hub id, a
        folder that the user gave) stays where it is, and this does nothing.
        """


@runtime_checkable
class HasFacts(Protocol):
    """A policy that knows what provenance should tell of it, beyond the recipe: such as whose code it ran."""

    def facts(self) -> Mapping[str, Any]:
        """Facts by name, as JSON takes them; the same however often a run is continued."""


@runtime_checkable
class Foresees(Protocol):
    """A policy whose class can say what building it will need; ``polo run --dry-run`` shows it."""

    @staticmethod
    def foresee(options: Any, context: Context) -> Sequence[str]:
        """Sentences on what would be downloaded or made, and what cannot be had; builds and downloads nothing.

        Raises:
            InputError: what the options name can never be used.
        """


@runtime_checkable
class ScoresMany(Protocol):
    """A policy with a way of its own to score long lists, up to the whole catalogue, where no gradient is needed."""

    #: most items of a row for which ``score`` in passes is the way all the same
    few: int

    def score_many(self, rows: Rows, items: Int[Tensor, "b n"], budget: int) -> Float[Tensor, "b n"]:
        """What ``score`` gives, without gradient, in evaluation mode, about ``budget`` tokens at a time."""


@runtime_checkable
class SharesForwards(Protocol):
    """A policy for which some rows cost less together than apart, such as the positions of one sequence.

    Epochs then shuffle groups of such rows instead of rows, and each batch holds neighbours of this order. What a row's
    score is does not depend on it.
    """

    def shared(self, rows: Rows) -> IntArray:
        """``[B]`` a number for each row, whatever others it is asked with; those with the same one belong together."""


@runtime_checkable
class Embeds(Protocol):
    """A policy whose score is the inner product of a vector of the row and a vector of the item.

    Norms and temperatures are part of the vectors, so that ``score(rows, items)`` is the product and nothing else, and
    a whole catalogue can be ranked block by block after one propagation. Each of the methods is one call of ``module``,
    so that weights may be sharded.
    """

    def user_vectors(self, rows: Rows) -> Float[Tensor, "b d"]:
        """A vector for each row; gradient flows when autograd is on."""

    def item_vectors(self) -> Float[Tensor, "n d"]:
        """A vector for each item of the catalogue; gradient flows when autograd is on."""

    def vectors(self, rows: Rows) -> tuple[Float[Tensor, "b d"], Float[Tensor, "n d"]]:
        """Both, of one call of ``module``."""


@runtime_checkable
class FillsParts(Protocol):
    """A policy that can be spread over processes before it has weights, so that none of them ever holds all."""

    def fill(self) -> None:
        """Gives a module that was built with ``Context.shard`` its weights, each process its part; called once.

        Parameters without weights are on torch's ``meta`` device until then. Does nothing where there are none, since
        the policy could not but be built with all its weights.
        """
