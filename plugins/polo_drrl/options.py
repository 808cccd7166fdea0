"""Options of the recommender losses. Knows names, bounds and defaults; imports no torch.

The temperature is no option of a head: scores are multiplied by the stage's beta, so a published temperature tau is
``beta: {use: fixed, value: 1/tau}``, or a policy whose similarities are divided by tau already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """What all of them share."""

    #: what is compared: the policy's score (as published), or its log-ratio to the reference (for text policies)
    reward: Literal["score", "log_ratio"] = "score"


@dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(LossOptions):
    """Sampled softmax."""

    #: the chosen item stands in the denominator too; false: the negatives alone, as DrRL's code has it
    positive: bool = True


@dataclass(frozen=True, kw_only=True)
class BslOptions(LossOptions):
    """Bilateral softmax loss."""

    #: temperature of the negatives (1 / beta) over that of the positives; 1 is the softmax without the positive
    ratio: Annotated[float, Gt(0)] = 1.0
    #: user: positives of the batch that belong to one user share a term; row: each row has its own (author's code)
    positives: Literal["user", "row"] = "user"


@dataclass(frozen=True, kw_only=True)
class CclOptions(LossOptions):
    """Cosine contrastive loss."""

    #: negatives below it are left alone (published: 0 to 1, on cosines)
    margin: float = 0.7
    #: weight of the negatives' mean
    weight: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class PslOptions(LossOptions):
    """Pairwise softmax loss."""

    #: what the exponential of the softmax is replaced by: 1 + tanh d, max(0, 1 + d), or 1 + atan d
    activation: Literal["tanh", "relu", "atan"] = "tanh"
    #: tau* of the robust softmax around it
    temperature: Annotated[float, Gt(0)] = 1.0
    #: least value of the activation: its logarithm is minus infinity (relu, d <= -1) or not a number (atan, d < -1.557)
    floor: Annotated[float, Gt(0), Lt(1)] = 1e-6


@dataclass(frozen=True, kw_only=True)
class SlAtKOptions(LossOptions):
    """SL@K."""

    #: K of the metric
    k: Annotated[int, Ge(1)] = 20
    #: temperature of the weight, in units of the score
    weight_temperature: Annotated[float, Gt(0)] = 2.25
    #: optimiser steps between two estimates of the users' quantiles
    every: Annotated[int, Ge(1)] = 1
    #: no gradient through the weight (the public code lets it through)
    detach: bool = False


@dataclass(frozen=True, kw_only=True)
class LlpaucOptions(LossOptions):
    """Lower-left partial AUC."""

    #: share of the positives that counts, the best of them (public code: 0.7)
    alpha: Annotated[float, Gt(0), Le(1)] = 0.7
    #: share of the negatives that counts, the best of them (public code: 0.1)
    beta: Annotated[float, Gt(0), Le(1)] = 0.1
    #: sharpness of the smoothed positive part
    kappa: Annotated[float, Gt(0)] = 5.0
    #: learning rate of a, b and gamma; s+ and s- move twice as fast
    lr: Annotated[float, Gt(0)] = 1e-3
    #: gamma and s+ go uphill, as in the paper's min-max problem; false: downhill, as in one public implementation
    ascent: bool = True


@dataclass(frozen=True, kw_only=True)
class AdvInfonceOptions(LossOptions):
    """AdvInfoNCE."""

    #: weight of the negatives
    weight: Annotated[float, Gt(0)] = 64.0
    #: width of the adversary's vectors
    width: Annotated[int, Ge(1)] = 64
    #: learning rate of the adversary
    lr: Annotated[float, Gt(0)] = 1e-4
    #: optimiser steps between two moves of the adversary
    every: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True, kw_only=True)
class DrrlOptions(LossOptions):
    """DrRL."""

    #: Rényi order, above 1: towards 1 the loss becomes the softmax, towards infinity CCL (released default: 150)
    omega: Annotated[float, Gt(1)] | None = None
    #: 1 / omega, another way to say it: 1 is the softmax, 0 exactly CCL
    gamma: Annotated[float, Ge(0), Lt(1)] | None = None
    #: c, weight of the excess over the threshold: exp(eta (omega - 1) / omega) for a ball of radius eta. At 1, as
    #: released, thresholds only ever fall and the loss tends to the mean, the slower the lower `threshold_lr`
    c: Annotated[float, Ge(1)] = 1.0
    #: added to each excess inside the norm, as released; the theory has 0
    eps: Annotated[float, Ge(0)] = 0.1
    #: sgd: a threshold for each user, with one step of its own before the model's; bisect: the row's exact best one
    solver: Literal["sgd", "bisect"] = "sgd"
    #: where every user's threshold begins (`sgd`)
    threshold: float = 0.7
    #: learning rate of the thresholds (`sgd`)
    threshold_lr: Annotated[float, Gt(0)] = 1e-3

    def __post_init__(self) -> None:
        if self.omega is not None and self.gamma is not None:
            raise ValueError("omega and gamma = 1 / omega say the same; give one of them")
        if self.solver == "bisect" and self.c == 1:
            raise ValueError("with c = 1 the best threshold is minus infinity (the loss is the mean); give a larger c")

    @property
    def power(self) -> float:
        """``p = omega / (omega - 1) = 1 / (1 - gamma)``, the norm of the excesses.

        Example:
            >>> DrrlOptions(omega=2.0).power, DrrlOptions(gamma=0.5).power, DrrlOptions(gamma=0).power
            (2.0, 2.0, 1.0)
        """
        gamma = self.gamma if self.gamma is not None else 1 / (150.0 if self.omega is None else self.omega)
        return 1 / (1 - gamma)
