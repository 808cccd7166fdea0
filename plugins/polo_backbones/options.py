"""Options of the embedding policies. Knows names, bounds and defaults; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from polo import InputError, Ref


@dataclass(frozen=True, kw_only=True)
class ItemOptions:
    """Where vectors of items come from: learnt by number, given by an encoder, or both."""

    #: gives a vector for each item; without one, vectors are learnt by item number alone
    encoder: Ref["encoder"] | None = None
    #: the encoder's vectors are where training starts (``start``), stay as they are (``frozen``), or are mapped to
    #: ``dim`` numbers by a learnt linear layer (``adapter``)
    as_: Literal["start", "frozen", "adapter"] = "adapter"
    #: add a learnt vector of each item's own to the encoder's
    ids: bool = False
    #: ``init``: the encoder's vectors are multiplied by one number so that they are as large as learnt ones start;
    #: ``given``: they stay
    scale: Literal["init", "given"] = "init"


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """What all of them share: the width of vectors, and how two of them make a score."""

    #: numbers of a vector
    dim: Annotated[int, Ge(1)] = 64
    #: ``inner``: the inner product; ``cosine``: that of vectors of length 1
    score: Literal["inner", "cosine"] = "inner"
    #: every score is divided by it; for cosines, which lie between -1 and 1, about 0.1
    tau: Annotated[float, Gt(0)] = 1.0
    #: standard deviation of the normal distribution that vectors start from
    init: Annotated[float, Gt(0)] = 0.1
    #: where vectors of items come from
    items: ItemOptions = field(default_factory=ItemOptions)


@dataclass(frozen=True, kw_only=True)
class UserOptions(VectorOptions):
    """What models with a vector for each user share."""

    #: weight of an L2 term of the vectors that a batch looks up, halved and over its rows (LightGCN's code: 1e-4);
    #: unlike the stage's `weight_decay` it leaves alone what a batch does not hold
    l2: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class MFOptions(UserOptions):
    """Matrix factorisation."""


@dataclass(frozen=True, kw_only=True)
class LightGCNOptions(UserOptions):
    """Matrix factorisation whose vectors are averaged along the graph of the training rows."""

    #: steps of propagation; the mean runs over the vectors before the first and after each
    layers: Annotated[int, Ge(0)] = 2


@dataclass(frozen=True, kw_only=True)
class XSimGCLOptions(LightGCNOptions):
    """LightGCN with noise in each step, and a contrastive term between two of them. Defaults: the authors' code."""

    #: steps of propagation; the mean runs over the vectors after each, not those before the first
    layers: Annotated[int, Ge(1)] = 2
    #: weight of the L2 term of the vectors that a batch looks up
    l2: Annotated[float, Ge(0)] = 1e-4
    #: weight of the contrastive term; 0 leaves it out
    contrast: Annotated[float, Ge(0)] = 0.2
    #: steps after which vectors are contrasted with the mean; 0: those before the first
    contrast_layer: Annotated[int, Ge(0)] = 1
    #: temperature of the contrastive term
    contrast_tau: Annotated[float, Gt(0)] = 0.15
    #: length of the noise that is added to each vector after each step, while training
    noise: Annotated[float, Ge(0)] = 0.2

    def __post_init__(self) -> None:
        if self.contrast_layer > self.layers:
            what = f"contrast_layer {self.contrast_layer} is beyond the {self.layers} layers"
            raise InputError(what, fix=f"give one from 0 to {self.layers}, or more layers")


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(VectorOptions):
    """What models of the shown history share."""

    #: share of numbers that are set to 0 at random while training
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    #: training rows leave out the oldest items of a full window, so that their histories begin at multiples of this
    #: many items of the user and rows that begin alike share one forward; 1 leaves out nothing, ``null`` is half of the
    #: window. Rows of other splits are always read whole
    stride: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class SASRecOptions(SequenceOptions):
    """Causal self-attention."""

    #: blocks of attention and feed-forward network
    layers: Annotated[int, Ge(1)] = 2
    #: attention heads; ``dim`` must be a multiple
    heads: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise InputError(f"dim {self.dim} is no multiple of heads {self.heads}", fix="change one of them")


@dataclass(frozen=True, kw_only=True)
class GRU4RecOptions(SequenceOptions):
    """A gated recurrent network."""

    #: recurrent layers
    layers: Annotated[int, Ge(1)] = 1
    #: numbers of its state
    hidden: Annotated[int, Ge(1)] = 128
