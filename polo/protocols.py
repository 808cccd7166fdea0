"""What each kind of component must offer. The engine calls these and nothing else.

Structural types: a plugin does not inherit from them, it only has the same methods. Shapes: B rows in a pass, K drawn
negatives, n = 1 + K scored items (or the length of a candidate list). ``progress`` runs from 0 to 1 over a stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from polo.errors import PoloError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor, nn

    from polo.data import Rows, Splits
    from polo.randomness import RowRandom
    from polo.scores import Draw, Scores, Unit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: what a loss head may need; compose checks that the stage and the policy offer it
#: negatives: at least one kept negative; reference: ``scores.ref``; tokens: meaningful ``scores.tokens``;
#: logprob: ``scores.unit == "logprob"``; whole_batch: all rows of the batch in one call; mismatched: KTO's pairs
Need = Literal["negatives", "reference", "tokens", "logprob", "whole_batch", "mismatched", "log_q"]
#: what a sampler may say of its draws beyond items (its attribute ``gives``)
Gift = Literal["log_q"]


@runtime_checkable
class DataSource(Protocol):
    """``build(options, context)`` must be cheap; ``load`` reads."""

    def load(self) -> Splits: ...


@runtime_checkable
class Peek(Protocol):
    """The policy without gradients, for samplers that look before they draw: ``peek(rows, items) -> [B, n]``."""

    def __call__(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]: ...


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

    def extra_loss(self) -> Tensor | None:
        """A regulariser of the policy's own, added to the mean loss; ``None`` for none.

        Computed outside ``module``'s forward: where weights are sharded, parameters are DTensors here.
        """

    def save(self, folder: Path) -> None:
        """Writes trainable weights and what is needed to load them elsewhere (PEFT form) into an existing folder."""

    def load(self, folder: Path) -> None:
        """Loads trainable weights that ``save`` wrote."""


@runtime_checkable
class Based(Protocol):
    """A policy whose frozen part is a model on disk."""

    def base_hash(self) -> str:
        """sha256 of the bytes of the base: weights, config, tokenizer. The same wherever the base lies."""

    def keep_base(self, folder: Path) -> None:
        """The run keeps its base in ``folder``: what ``save`` writes names the base there, relative to itself.

        Puts the base there if it is not, by hard links where it can. A base that others can have by name (a hub id, a
        folder that the user gave) stays where it is, and this does nothing.
        """


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


@dataclass(frozen=True)
class Ranked:
    """One system's scores on the candidate lists of N rows, with the target's place worked out.

    Args:
        rows: the rows; ``rows.candidates`` is ``[N, n]``.
        scores: float64 ``[N, n]``, higher is better.
        truth: ``[N]`` column of the target.
        above: ``[N]`` how many candidates score strictly higher than the target.
        tied: ``[N]`` how many other candidates score exactly the same.
        reference: float64 ``[N, n]``, the reference's scores of the same lists, for evaluators that need ``reference``.
        generated: N greedy completions, for evaluators that need ``generation``.
    """

    rows: Rows
    scores: FloatArray
    truth: IntArray
    above: IntArray
    tied: IntArray
    reference: FloatArray | None = None
    generated: Sequence[str] | None = None

    @classmethod
    def of(
        cls,
        rows: Rows,
        scores: FloatArray,
        reference: FloatArray | None = None,
        generated: Sequence[str] | None = None,
    ) -> Ranked:
        if rows.candidates is None:
            raise ValueError("rows without candidate lists cannot be ranked")
        if not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise PoloError(f"a score of row {int(rows.id[row])} is not finite: {scores[row].tolist()}",
                            fix="look at what scored it; a ranking of such scores would mean nothing")  # fmt: skip
        truth = (rows.candidates == rows.target[:, None]).argmax(axis=1)
        own = np.take_along_axis(scores, truth[:, None], axis=1)
        above = (scores > own).sum(axis=1)
        tied = (scores == own).sum(axis=1) - 1
        places = (truth.astype(np.int64), above.astype(np.int64), tied.astype(np.int64))
        return cls(rows, scores, *places, reference, generated)


@runtime_checkable
class Evaluator(Protocol):
    """A metric over ranked candidate lists."""

    #: among "ranks", "scores", "reference" (policy stages with a reference only), "generation" (policy stages only;
    #: the policy must have ``generate``)
    needs: frozenset[str]

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """Metric name (such as ``hit_ratio@1``) -> value of each row, ``[N]``; the metric is their mean."""


@runtime_checkable
class Totals(Protocol):
    """An evaluator whose figure is no mean over rows, such as how much of the catalogue is ever recommended."""

    def totals(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """Metric name -> an array that adds up: the totals of two disjoint sets of rows sum to those of their union."""

    def figures(self, totals: Mapping[str, FloatArray]) -> Mapping[str, float]:
        """The metrics, from totals of all rows."""


@runtime_checkable
class Baseline(Protocol):
    """A trivial system that every model is measured beside."""

    def fit(self, splits: Splits) -> None:
        """Learns from ``splits.train`` and ``splits.sequences`` alone."""

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        """``[N, n]`` scores, higher is better; ties are allowed and counted by the tie rule."""


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What an audit looks at: the data, and the candidate lists that a number will be measured on.

    Args:
        splits: the data set.
        split: the split that is evaluated.
        lists: split name -> its rows (``train`` may be a sample of very large data) with the recipe's candidate lists.
        file_lists: split name -> its rows with the lists that the data source read; empty where it read none.
        negatives: whether the recipe draws its lists (``uniform``) or takes those of the file.
        n: declared length of a list.
        title_tokens: int64 ``[n_items]`` tokens of each title with its end token, where a text policy is at hand.
    """

    splits: Splits
    split: Literal["valid", "test"]
    lists: Mapping[str, Rows]
    file_lists: Mapping[str, Rows]
    negatives: Literal["uniform", "file"]
    n: int
    title_tokens: IntArray | None = None


@dataclass(frozen=True)
class Finding:
    """What an audit found.

    Args:
        figure: the number that was judged, ``None`` where there is nothing to measure.
        verdict: ``ok``; ``warn`` (know this before you read a number); ``fail`` (it does not mean what it says).
        meaning: one sentence with the figures in it.
        fix: what to do about it; empty if there is nothing to do.
    """

    figure: float | None
    verdict: Literal["ok", "warn", "fail"]
    meaning: str
    fix: str = ""


@runtime_checkable
class Audit(Protocol):
    """A check of data and protocol, before any model is trained."""

    def check(self, audited: Audited) -> Finding:
        """Must be quick (seconds on 100k rows) and must not depend on anything but ``audited`` and the seed."""


@runtime_checkable
class Scorer(Protocol):
    """An engine that scores candidate lists at evaluation, where the policy itself does not."""

    def score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        """Sums of log-probabilities ``[N, n]`` and how many tokens each ran over ``[N, n]``."""


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
class Base(Protocol):
    """Makes or finds a base model."""

    def path(self) -> Path:
        """A folder with config, weights and tokenizer in Hugging Face form; makes it when it is not there yet.

        A base that others can have too says by which name in an attribute ``name`` (a hub id, a folder that the user
        gave); one without is kept beside the run.
        """

    def fingerprint(self) -> str:
        """Hash of the content, or of all that determines it."""


@runtime_checkable
class Tracker(Protocol):
    """Receives every line of ``metrics.jsonl``."""

    def log(self, metrics: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


__all__: Sequence[str] = [
    "AtZero", "Audit", "Audited", "Base", "Based", "Baseline", "Beta", "Chooses", "DataSource", "Evaluator", "Finding",
    "Generates", "Loss", "Need", "Peek", "Policy", "Ranked", "Refresh", "Sampler", "Scorer", "ScoresMany",
    "Stateful", "Totals", "Tracker",
]  # fmt: skip
