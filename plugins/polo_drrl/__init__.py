"""DrRL (arXiv 2506.15120) and the losses of recommenders that it is compared with. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_OPTIONS = "polo_drrl.options"


@hookimpl
def polo_loss_heads() -> Sequence[Component]:
    """From scores to a loss of each row."""
    return [
        Component(
            name="cross_entropy",
            build="polo_drrl.cross_entropy:CrossEntropy",
            summary="softmax of the chosen against the whole catalogue, in chunks",
            source="GRU4Rec, arXiv 1706.03847",
        ),
        Component(
            name="softmax",
            build="polo_drrl.softmax:Softmax",
            options=f"{_OPTIONS}:SoftmaxOptions",
            summary="sampled softmax of the chosen against its negatives",
            source="Wu et al., arXiv 2201.02327",
        ),
        Component(
            name="bsl",
            build="polo_drrl.softmax:Bsl",
            options=f"{_OPTIONS}:BslOptions",
            summary="softmax with temperatures of their own for positives and negatives",
            source="BSL, arXiv 2312.12882",
        ),
        Component(
            name="bpr",
            build="polo_drrl.pointwise:Bpr",
            options=f"{_OPTIONS}:LossOptions",
            summary="logistic loss of each pair's difference of scores",
            source="BPR, arXiv 1205.2618",
        ),
        Component(
            name="bce",
            build="polo_drrl.pointwise:Bce",
            options=f"{_OPTIONS}:LossOptions",
            summary="binary cross-entropy of chosen and rejected",
            source="NCF, arXiv 1708.05031, eq. 7",
        ),
        Component(
            name="mse",
            build="polo_drrl.pointwise:Mse",
            options=f"{_OPTIONS}:LossOptions",
            summary="squared error of chosen and rejected",
            source="baseline of DrRL, arXiv 2506.15120",
        ),
        Component(
            name="ccl",
            build="polo_drrl.pointwise:Ccl",
            options=f"{_OPTIONS}:CclOptions",
            summary="chosen drawn to 1, negatives pushed below a margin",
            source="SimpleX, arXiv 2109.12613, eq. 1",
        ),
        Component(
            name="psl",
            build="polo_drrl.psl:Psl",
            options=f"{_OPTIONS}:PslOptions",
            summary="softmax with a tighter surrogate than the exponential",
            source="PSL, arXiv 2411.00163",
        ),
        Component(
            name="sl_at_k",
            build="polo_drrl.sl_at_k:SlAtK",
            options=f"{_OPTIONS}:SlAtKOptions",
            summary="softmax weighted by how near the chosen item is to the user's first K",
            source="SL@K, arXiv 2508.05673",
        ),
        Component(
            name="llpauc",
            build="polo_drrl.llpauc:Llpauc",
            options=f"{_OPTIONS}:LlpaucOptions",
            summary="lower-left partial AUC, as a min-max problem",
            source="LLPAUC, arXiv 2403.00844",
        ),
        Component(
            name="adv_infonce",
            build="polo_drrl.adv_infonce:AdvInfonce",
            options=f"{_OPTIONS}:AdvInfonceOptions",
            summary="softmax whose negatives are weighted by an adversary",
            source="AdvInfoNCE, arXiv 2310.18700",
        ),
        Component(
            name="drrl",
            build="polo_drrl.drrl:build",
            options=f"{_OPTIONS}:DrrlOptions",
            summary="worst mean of the negatives within a Rényi ball, a threshold for each user",
            source="DrRL, arXiv 2506.15120",
        ),
    ]
