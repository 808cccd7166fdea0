"""Samplers, beta schedules and loss heads of the DPO family. Declarations only: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl
from polo_preference.heads import polo_loss_heads as polo_loss_heads

_BETA, _SAMPLER = "polo_preference.betas", "polo_preference.samplers"
_BETA_OPTIONS = "polo_preference.options.betas"
_SAMPLER_OPTIONS = "polo_preference.options.samplers"


@hookimpl
def polo_beta_schedules() -> Sequence[Component]:
    """Strength of each negative."""
    return [
        Component(
            name="fixed",
            build=f"{_BETA}.fixed:Fixed",
            options=f"{_BETA_OPTIONS}:FixedOptions",
            summary="the same strength, always",
        ),
        Component(
            name="linear",
            build=f"{_BETA}.schedules:Linear",
            options=f"{_BETA_OPTIONS}:ScheduleOptions",
            summary="from start to end in a straight line",
        ),
        Component(
            name="cosine",
            build=f"{_BETA}.schedules:Cosine",
            options=f"{_BETA_OPTIONS}:ScheduleOptions",
            summary="from start to end on half a cosine",
        ),
        Component(
            name="batch_dynamic",
            build=f"{_BETA}.batch_dynamic:BatchDynamic",
            options=f"{_BETA_OPTIONS}:BatchDynamicOptions",
            summary="follows the batch's mean margin; drops unusual pairs",
            source="beta-DPO, arXiv 2407.08639",
            tags=("by_column",),
        ),
    ]


@hookimpl
def polo_negative_samplers() -> Sequence[Component]:
    """Which negatives are scored, and which enter the loss."""
    return [
        Component(
            name="uniform",
            build=f"{_SAMPLER}.uniform:Uniform",
            options=f"{_SAMPLER_OPTIONS}:UniformOptions",
            summary="uniformly from the row's list or the catalogue",
        ),
        Component(
            name="given",
            build=f"{_SAMPLER}.given:Given",
            options=f"{_SAMPLER_OPTIONS}:GivenOptions",
            summary="the row's own list without the target, in its order: the rejected answers of preference data",
        ),
        Component(
            name="popularity",
            build=f"{_SAMPLER}.popularity:Popularity",
            options=f"{_SAMPLER_OPTIONS}:PopularityOptions",
            summary="popular items more often",
            tags=("log_q",),
        ),
        Component(
            name="in_batch",
            build=f"{_SAMPLER}.in_batch:InBatch",
            options=f"{_SAMPLER_OPTIONS}:InBatchOptions",
            summary="other rows' targets",
            tags=("batchwise", "log_q"),
        ),
        Component(
            name="catalogue",
            build=f"{_SAMPLER}.catalogue:Catalogue",
            options=f"{_SAMPLER_OPTIONS}:CatalogueOptions",
            summary="every item",
        ),
        Component(
            name="hard",
            build=f"{_SAMPLER}.hard:Hard",
            options=f"{_SAMPLER_OPTIONS}:SelectOptions",
            summary="the n that the policy scores highest",
            source="DNS, Zhang et al., SIGIR 2013",
            tags=("wrapper",),
        ),
        Component(
            name="dns",
            build=f"{_SAMPLER}.dns:Dns",
            options=f"{_SAMPLER_OPTIONS}:DnsOptions",
            summary="k of the m best scored of a pool, chosen before training on them",
            source="DNS(M, N), arXiv 2302.03472",
            tags=("wrapper",),
        ),
        Component(
            name="top",
            build=f"{_SAMPLER}.top:Top",
            options=f"{_SAMPLER_OPTIONS}:TopOptions",
            summary="k of the policy's m best items of the whole catalogue, found without scoring it",
            source="DNS(M, N), arXiv 2302.03472, with the catalogue as the pool",
        ),
        Component(
            name="policy",
            build=f"{_SAMPLER}.policy:PolicyDraw",
            options=f"{_SAMPLER_OPTIONS}:PolicyDrawOptions",
            summary="k items by the policy's own distribution over the whole catalogue, drawn without scoring it",
            source="adaptive importance sampling, Bengio & Senecal 2008; draws as in arXiv 1903.06059",
            tags=("log_q",),
        ),
        Component(
            name="softmax",
            build=f"{_SAMPLER}.softmax:Softmax",
            options=f"{_SAMPLER_OPTIONS}:SoftmaxOptions",
            summary="n by chance, higher scored more often",
            source="arXiv 2302.03472",
            tags=("wrapper",),
        ),
        Component(
            name="curriculum",
            build=f"{_SAMPLER}.curriculum:Curriculum",
            options=f"{_SAMPLER_OPTIONS}:SelectOptions",
            summary="from low to high scores over the stage",
            tags=("wrapper",),
        ),
        Component(
            name="self_play",
            build=f"{_SAMPLER}.self_play:SelfPlay",
            options=f"{_SAMPLER_OPTIONS}:SelfPlayOptions",
            summary="the policy's own predictions of an earlier epoch",
            source="SPRec, arXiv 2412.09243",
            tags=("wrapper",),
        ),
        Component(
            name="noisy",
            build=f"{_SAMPLER}.noisy:Noisy",
            options=f"{_SAMPLER_OPTIONS}:NoisyOptions",
            summary="plants items the user likes: for studies of robustness",
            source="noise study of arXiv 2506.15120",
            tags=("wrapper", "plants_known"),
        ),
    ]
