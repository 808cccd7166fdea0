"""Item vectors from texts, files and language models, and what makes them trainable. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_OPTIONS = "polo_tfllmer.options"
_TFLLMER = "TF-LLMER, arXiv 2604.20490"


@hookimpl
def polo_item_encoders() -> Sequence[Component]:
    """Sources of item vectors, then transforms of them."""
    return [
        Component(
            name="lsa",
            build="polo_tfllmer.lsa:LSA",
            options=f"{_OPTIONS}:LSAOptions",
            summary="TF-IDF of the items' texts, reduced by a singular value decomposition; needs no model",
            source="Deerwester et al., JASIS 41(6), 1990",
        ),
        Component(
            name="text_encoder",
            build="polo_tfllmer.text_encoder:TextEncoder",
            options=f"{_OPTIONS}:TextEncoderOptions",
            summary="a local language model, encoder or decoder, that reads the items' texts",
        ),
        Component(
            name="file",
            build="polo_tfllmer.file:File",
            options=f"{_OPTIONS}:FileOptions",
            summary="vectors from .npy, .safetensors or .parquet, matched to items by their ids or by order",
        ),
        Component(
            name="pca",
            build="polo_tfllmer.pca:PCA",
            options=f"{_OPTIONS}:PCAOptions",
            summary="the directions of largest variance, centred",
            source="Pearson, Phil. Mag. 2, 1901",
            tags=("transform",),
        ),
        Component(
            name="whiten",
            build="polo_tfllmer.pca:Whiten",
            options=f"{_OPTIONS}:WhitenOptions",
            summary="the same directions, each scaled to variance 1",
            tags=("transform",),
        ),
        Component(
            name="rec_pca",
            build="polo_tfllmer.rec_pca:RecPCA",
            options=f"{_OPTIONS}:RecPCAOptions",
            summary="directions of large variance along which items taken together lie close",
            source=_TFLLMER,
            tags=("transform",),
        ),
        Component(
            name="norm",
            build="polo_tfllmer.norm:Norm",
            options=f"{_OPTIONS}:NormOptions",
            summary="length 1, in every forward while vectors are trained, and scores divided by a temperature",
            source=_TFLLMER,
            tags=("transform",),
        ),
    ]
