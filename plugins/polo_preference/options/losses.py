"""Options of the loss heads. Knows names, bounds and defaults; imports no torch.

The strength beta is no option of a head: it comes from the stage's beta schedule, one number for each negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Lt

from polo import Ref


@dataclass(frozen=True, kw_only=True)
class SftOptions:
    """Supervised fine-tuning on the chosen title."""

    #: token: mean over the title's tokens and its end token; sequence: their sum
    reduce: Literal["token", "sequence"] = "token"


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """A pairwise head on several negatives."""

    #: how a row's pairs (chosen, negative) become one loss
    pairs: Literal["mean", "sum", "max"] = "mean"


@dataclass(frozen=True, kw_only=True)
class SmoothedOptions(PairOptions):
    """A head that takes a share of the preferences to be flipped."""

    #: probability that a pair's labels are swapped
    smoothing: Annotated[float, Ge(0), Lt(0.5)] = 0.1


@dataclass(frozen=True, kw_only=True)
class ExoOptions(PairOptions):
    """EXO."""

    #: label smoothing; must not be 0 (the loss holds its logarithm). Default: TRL
    smoothing: Annotated[float, Gt(0), Lt(0.5)] = 1e-3


@dataclass(frozen=True, kw_only=True)
class DiscopopOptions(PairOptions):
    """DiscoPOP."""

    #: temperature of the switch between logistic and exponential loss (paper: 0.05); above 1 the loss overflows
    tau: Annotated[float, Gt(0), Le(1)] = 0.05


@dataclass(frozen=True, kw_only=True)
class LengthOptions(PairOptions):
    """A head that can be had per sequence or per token."""

    #: sum: log-ratios of whole titles (the paper); mean: each divided by its own number of tokens (TRL)
    length: Literal["sum", "mean"] = "sum"


@dataclass(frozen=True, kw_only=True)
class SimpoOptions(PairOptions):
    """SimPO."""

    #: target margin, in units of the scaled reward (paper: 0.3 to 1.6 with beta 2 to 2.5)
    gamma: Annotated[float, Ge(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class CpoOptions(PairOptions):
    """CPO."""

    #: weight of the negative log-likelihood of the chosen title
    nll: Annotated[float, Ge(0)] = 1.0
    #: the negative log-likelihood over the whole title (the paper) or the mean over its tokens (TRL)
    reduce: Literal["token", "sequence"] = "sequence"


@dataclass(frozen=True, kw_only=True)
class RpoOptions(PairOptions):
    """Iterative RPO: DPO with a likelihood term."""

    #: weight of the negative log-likelihood of the chosen title
    nll: Annotated[float, Ge(0)] = 1.0
    #: mean over the title's tokens (the paper) or their sum
    reduce: Literal["token", "sequence"] = "token"


@dataclass(frozen=True, kw_only=True)
class KtoOptions:
    """KTO."""

    #: weight of the chosen item's term
    desirable: Annotated[float, Ge(0)] = 1.0
    #: weight of the negatives' term
    undesirable: Annotated[float, Ge(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class DpopOptions(PairOptions):
    """DPO-Positive."""

    #: weight of the penalty on a chosen title that has become less likely than under the reference, in nats of margin
    penalty: Annotated[float, Ge(0)] = 50.0


@dataclass(frozen=True, kw_only=True)
class AlphaDpoOptions(PairOptions):
    """AlphaDPO."""

    #: target margin in nats per token (released: 0.6 Llama-3, 0.4 Gemma-2, 0.15 Mistral)
    gamma: Annotated[float, Ge(0)] = 0.6
    #: how far the margin follows the reference's view of a pair (released: 0.05 to 0.2); 0 is SimPO
    alpha: Annotated[float, Ge(0)] = 0.2
    #: of the running mean and deviation of the margins
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9


@dataclass(frozen=True, kw_only=True)
class BcoOptions(PairOptions):
    """BCO."""

    #: classify against the running mean reward (the paper); false: against 0 (TRL from 1.0 on)
    shift: bool = True


@dataclass(frozen=True, kw_only=True)
class MppoOptions:
    """MPPO."""

    #: sum: probability of the whole title; mean: exp of its mean log-probability (geometric mean per token)
    length: Literal["sum", "mean"] = "sum"


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of a sum."""

    #: the head of this term
    loss: Ref["loss"]
    #: factor of this term
    weight: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class SumOptions:
    """A weighted sum of heads."""

    #: the terms
    of: Annotated[tuple[Term, ...], Len(1)]
