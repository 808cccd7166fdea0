"""The loss heads of the DPO family, declared. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_LOSS, _LOSS_OPTIONS = "polo_preference.losses", "polo_preference.options.losses"


@hookimpl
def polo_loss_heads() -> Sequence[Component]:
    """From scores to a loss of each row."""
    return [
        Component(
            name="sft",
            build=f"{_LOSS}.sft:Sft",
            options=f"{_LOSS_OPTIONS}:SftOptions",
            summary="negative log-likelihood of the chosen title",
        ),
        Component(
            name="dpo",
            build=f"{_LOSS}.dpo:Dpo",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="logistic loss of each pair's log-ratio margin",
            source="DPO, arXiv 2305.18290, eq. 7",
        ),
        Component(
            name="cdpo",
            build=f"{_LOSS}.cdpo:Cdpo",
            options=f"{_LOSS_OPTIONS}:SmoothedOptions",
            summary="DPO with label smoothing",
            source="cDPO, a note by E. Mitchell, 2023",
        ),
        Component(
            name="robust_dpo",
            build=f"{_LOSS}.robust_dpo:RobustDpo",
            options=f"{_LOSS_OPTIONS}:SmoothedOptions",
            summary="DPO, unbiased under swapped labels",
            source="Robust DPO, arXiv 2403.00409",
        ),
        Component(
            name="ipo",
            build=f"{_LOSS}.ipo:Ipo",
            options=f"{_LOSS_OPTIONS}:LengthOptions",
            summary="squared distance of the margin from 1 / (2 beta)",
            source="IPO, arXiv 2310.12036, eq. 17",
        ),
        Component(
            name="hinge",
            build=f"{_LOSS}.hinge:Hinge",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="hinge loss of the margin",
            source="SLiC-HF, arXiv 2305.10425",
        ),
        Component(
            name="simpo",
            build=f"{_LOSS}.simpo:Simpo",
            options=f"{_LOSS_OPTIONS}:SimpoOptions",
            summary="length-normalised, with a target margin, without a reference",
            source="SimPO, arXiv 2405.14734, eq. 6",
        ),
        Component(
            name="cpo",
            build=f"{_LOSS}.cpo:Cpo",
            options=f"{_LOSS_OPTIONS}:CpoOptions",
            summary="DPO against a uniform reference, plus likelihood",
            source="CPO, arXiv 2401.08417, eq. 3",
        ),
        Component(
            name="orpo",
            build=f"{_LOSS}.orpo:Orpo",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="likelihood plus an odds ratio, without a reference",
            source="ORPO, arXiv 2403.07691, eq. 6",
        ),
        Component(
            name="kto",
            build=f"{_LOSS}.kto:Kto",
            options=f"{_LOSS_OPTIONS}:KtoOptions",
            summary="each title by itself against the mean divergence",
            source="KTO, arXiv 2402.01306, eq. 7",
        ),
        Component(
            name="dpop",
            build=f"{_LOSS}.dpop:Dpop",
            options=f"{_LOSS_OPTIONS}:DpopOptions",
            summary="DPO that keeps the chosen title likely",
            source="DPO-Positive, arXiv 2402.13228",
        ),
        Component(
            name="rpo",
            build=f"{_LOSS}.rpo:Rpo",
            options=f"{_LOSS_OPTIONS}:RpoOptions",
            summary="DPO plus likelihood",
            source="Iterative RPO, arXiv 2404.19733",
        ),
        Component(
            name="alpha_dpo",
            build=f"{_LOSS}.alpha_dpo:AlphaDpo",
            options=f"{_LOSS_OPTIONS}:AlphaDpoOptions",
            summary="SimPO whose target margin follows the reference",
            source="AlphaDPO, arXiv 2410.10148",
        ),
        Component(
            name="dmpo",
            build=f"{_LOSS}.dmpo:Dmpo",
            summary="one margin against the mean of all negatives",
            source="DMPO, arXiv 2405.16127",
        ),
        Component(
            name="sdpo",
            build=f"{_LOSS}.sdpo:Sdpo",
            summary="softmax of the chosen against all negatives",
            source="S-DPO, arXiv 2406.09215, eq. 8",
        ),
        Component(
            name="sdpo_sampled",
            build=f"{_LOSS}.sdpo:SdpoSampled",
            summary="sdpo with negatives weighted by how they were drawn",
            source="S-DPO with sampled-softmax weights",
        ),
        Component(
            name="mppo",
            build=f"{_LOSS}.mppo:Mppo",
            options=f"{_LOSS_OPTIONS}:MppoOptions",
            summary="probabilities as rewards, without a reference",
            source="MPPO, arXiv 2412.15244, as trained in arXiv 2605.00327",
        ),
        Component(
            name="apo_zero",
            build=f"{_LOSS}.apo_zero:ApoZero",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="chosen up, rejected down, each against the reference",
            source="APO, arXiv 2408.06266, eq. 7",
        ),
        Component(
            name="apo_down",
            build=f"{_LOSS}.apo_down:ApoDown",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="both down, the rejected one faster",
            source="APO, arXiv 2408.06266, eq. 8",
        ),
        Component(
            name="nca",
            build=f"{_LOSS}.nca:Nca",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="rewards as independent classifiers against the reference",
            source="NCA, arXiv 2402.05369",
        ),
        Component(
            name="exo",
            build=f"{_LOSS}.exo:Exo",
            options=f"{_LOSS_OPTIONS}:ExoOptions",
            summary="reverse KL divergence to smoothed preferences",
            source="EXO, arXiv 2402.00856, eq. 16",
        ),
        Component(
            name="sppo",
            build=f"{_LOSS}.sppo:Sppo",
            options=f"{_LOSS_OPTIONS}:PairOptions",
            summary="each log-ratio regressed to 1 / (2 beta)",
            source="SPPO, arXiv 2405.00675",
        ),
        Component(
            name="discopop",
            build=f"{_LOSS}.discopop:Discopop",
            options=f"{_LOSS_OPTIONS}:DiscopopOptions",
            summary="logistic for small, exponential for large margins",
            source="DiscoPOP, arXiv 2406.08414, eq. 5",
        ),
        Component(
            name="bco",
            build=f"{_LOSS}.bco:Bco",
            options=f"{_LOSS_OPTIONS}:BcoOptions",
            summary="chosen and rejected against a running mean reward",
            source="BCO, arXiv 2404.04656",
        ),
        Component(
            name="sum",
            build=f"{_LOSS}.sum:build",
            options=f"{_LOSS_OPTIONS}:SumOptions",
            summary="weighted sum of heads",
        ),
    ]
