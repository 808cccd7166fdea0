"""Recommenders whose scores are products of two vectors: by user number, or by the shown history. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_OPTIONS = "polo_backbones.options"


@hookimpl
def polo_policies() -> Sequence[Component]:
    """Embedding policies."""
    return [
        Component(
            name="mf",
            build="polo_backbones.mf:MF",
            options=f"{_OPTIONS}:MFOptions",
            summary="matrix factorisation: a vector for each user and each item",
            source="Koren, Bell & Volinsky, Computer 42(8), 2009",
        ),
        Component(
            name="sasrec",
            build="polo_backbones.sasrec:SASRec",
            options=f"{_OPTIONS}:SASRecOptions",
            summary="causal self-attention over the shown history",
            source="SASRec, arXiv 1808.09781",
        ),
        Component(
            name="gru4rec",
            build="polo_backbones.gru4rec:GRU4Rec",
            options=f"{_OPTIONS}:GRU4RecOptions",
            summary="a gated recurrent network over the shown history",
            source="GRU4Rec, arXiv 1511.06939",
        ),
        Component(
            name="lightgcn",
            build="polo_backbones.lightgcn:LightGCN",
            options=f"{_OPTIONS}:LightGCNOptions",
            summary="vectors of users and items, averaged along the graph of who took what",
            source="LightGCN, arXiv 2002.02126",
        ),
        Component(
            name="xsimgcl",
            build="polo_backbones.xsimgcl:XSimGCL",
            options=f"{_OPTIONS}:XSimGCLOptions",
            summary="LightGCN with noise on the way, and a contrastive term between two of its layers",
            source="XSimGCL, arXiv 2209.02544",
        ),
    ]
