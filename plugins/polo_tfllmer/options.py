"""Options of the encoders. Knows names, bounds and defaults; imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len

from polo import Choice, Ref


def _lsa() -> Choice:
    return Choice("encoder", "lsa", LSAOptions())


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """What is said of an item."""

    #: what an item's text is made of, joined by a line break: ``title``, and further columns of the item table
    columns: Annotated[tuple[str, ...], Len(1)] = ("title",)


@dataclass(frozen=True, kw_only=True)
class LSAOptions(TextOptions):
    """Latent semantic analysis of texts."""

    #: numbers of a vector; those beyond the rank of the texts are 0
    k: Annotated[int, Ge(1)] = 256
    #: longest run of words that counts as a term
    ngrams: Annotated[int, Ge(1)] = 2
    #: terms of fewer items are left out
    min_items: Annotated[int, Ge(1)] = 2


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Vectors from a file."""

    #: .npy, .npy.gz, .safetensors or .parquet
    path: str = ""
    #: a text file with the publisher's id of each row's item, one a line; without one, rows are in the order of the
    #: catalogue. Parquet has ids in a column
    ids: str | None = None
    #: .parquet: column with the ids
    id_column: str = "item"
    #: .parquet: column with the vectors; .safetensors: name of the tensor
    vector: str = "vectors"
    #: items without a vector are refused, or have the mean of the others
    missing: Literal["refuse", "mean"] = "refuse"


@dataclass(frozen=True, kw_only=True)
class FromOptions:
    """What all transforms share."""

    #: where vectors come from
    from_: Ref["encoder"] = field(default_factory=_lsa)


@dataclass(frozen=True, kw_only=True)
class ReduceOptions(FromOptions):
    """What transforms to fewer dimensions share."""

    #: numbers of a vector afterwards
    k: Annotated[int, Ge(1)] = 64


@dataclass(frozen=True, kw_only=True)
class PCAOptions(ReduceOptions):
    """Principal components."""


@dataclass(frozen=True, kw_only=True)
class WhitenOptions(ReduceOptions):
    """Principal components, scaled."""

    #: share of the largest variance that is added to each before its root is divided by; keeps noise small
    ridge: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class RecPCAOptions(ReduceOptions):
    """Principal components that follow a graph of items."""

    #: weight of total variation against variance, without a unit; 0 is PCA. With ``ratio`` the default changes
    #: directions of text vectors visibly, with ``difference`` only a narrow range just below 1 does
    lambda_: Annotated[float, Ge(0)] = 30.0
    #: two items are joined by each pair of places of a training sequence at most this far apart; ``null``: by each
    #: training sequence that holds both
    window: Annotated[int, Ge(1)] | None = None
    #: ``combinatorial``: D - A; ``normalised``: I - D^-1/2 A D^-1/2
    laplacian: Literal["combinatorial", "normalised"] = "normalised"
    #: ``ratio``: largest variance for each unit of length plus lambda times total variation, a generalised
    #: eigenproblem; ``difference``: largest variance minus lambda times total variation, at 1 the traces are equal
    form: Literal["ratio", "difference"] = "ratio"


@dataclass(frozen=True, kw_only=True)
class NormOptions(FromOptions):
    """Vectors of length 1."""

    #: scores are divided by it; about 1 where rows' vectors are as long as the root of their width (SASRec's, which end
    #: in a layer norm), about 0.1 where they have length 1 too
    temperature: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class TextEncoderOptions(TextOptions):
    """A language model that reads the items' texts."""

    #: folder with config, weights (.safetensors) and tokenizer in Hugging Face form
    model: str = ""
    #: the text's vector, of the last layer's states: their ``mean``, that of the ``last`` token (decoders), or of the
    #: first (``cls``)
    pooling: Literal["mean", "last", "cls"] = "mean"
    #: stands before every text, such as an instruction
    prefix: str = ""
    #: longer texts are cut
    max_tokens: Annotated[int, Ge(1)] = 256
    #: memory, not mathematics: tokens of a forward, padding included
    tokens_per_pass: Annotated[int, Ge(1)] = 8192
    #: of weights and states; vectors are float32
    dtype: Literal["float32", "bfloat16"] = "float32"
