"""Options of the linear preference losses. Knows names, bounds and defaults; imports no torch.

The strength beta comes from the stage's beta schedule; LPO is trained with 0.2. It is an offset, too: the margin is
drawn to 1 / (2 beta), which is 2.5 at 0.2, in nats per token with ``length: mean``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from polo import Ref


@dataclass(frozen=True, kw_only=True)
class LinearOptions:
    """What all forms share."""

    #: weight of max(0, -x_w), which acts where the chosen title is less likely than under the reference
    regulariser: Annotated[float, Ge(0)] = 10.0
    #: slope of max(0, -x_w) at x_w = 0, where every row stands when training starts: half (released code), none
    slope_at_zero: Literal["half", "none"] = "half"
    #: mean: log-ratios per token (released scripts); sum: of whole titles (argparse default)
    length: Literal["mean", "sum"] = "mean"
    #: pairs: mean of the losses of all pairs; inside: one pair, against the mean log-ratio of the negatives
    negatives: Literal["pairs", "inside"] = "pairs"


@dataclass(frozen=True, kw_only=True)
class LpoOptions(LinearOptions):
    """Separate speeds for chosen and rejected titles, with the values of the released run scripts."""

    #: speed of the chosen title
    r1: Annotated[float, Gt(0)] = 1.0
    #: speed of the rejected title; 0 leaves it where it is
    r2: Annotated[float, Ge(0)] = 0.2


@dataclass(frozen=True, kw_only=True)
class LpoArgparseOptions(LpoOptions):
    """The same loss with the defaults of the released argument parser."""

    #: speed of the rejected title; 0 leaves it where it is
    r2: Annotated[float, Ge(0)] = 0.8
    #: weight of max(0, -x_w); the parser's 5.0 is switched off by default
    regulariser: Annotated[float, Ge(0)] = 0.0
    #: sum: log-ratios of whole titles; mean: per token
    length: Literal["mean", "sum"] = "sum"


@dataclass(frozen=True, kw_only=True)
class ReferenceMarginOptions:
    """Leaves out pairs that the reference separates already."""

    #: the sampler that draws
    from_: Ref["sampler"]
    #: the largest margin of the reference's log-probabilities, chosen minus rejected, that is trained on
    most: float = 2.0
    #: mean: margins per token (released preparation); sum: of whole answers
    length: Literal["mean", "sum"] = "mean"
