"""The optimisers that polo itself brings, and the groups of parameters that a stage gives to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from polo.context import Context
from polo.errors import InputError, PoloError
from polo.protocols import Grouped, ParamGroup, Policy
from polo.train.optimiser_options import AdafactorOptions, AdamOptions, SgdOptions

Groups = Sequence[Mapping[str, Any]]


class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101, alg. 2): ``p -= lr * (m / (sqrt(v) + eps) + decay * p)``."""

    def __init__(self, options: AdamOptions, context: Context) -> None:
        self._options = options

    def __call__(self, groups: Groups) -> torch.optim.Optimizer:
        o = self._options
        return torch.optim.AdamW([dict(one) for one in groups], betas=o.betas, eps=o.eps, fused=_fused(groups))


class Adam:
    """Adam (arXiv 1412.6980, alg. 1); weight decay is an L2 term: ``decay * p`` is added to the gradient."""

    def __init__(self, options: AdamOptions, context: Context) -> None:
        self._options = options

    def __call__(self, groups: Groups) -> torch.optim.Optimizer:
        o = self._options
        return torch.optim.Adam([dict(one) for one in groups], betas=o.betas, eps=o.eps, fused=_fused(groups))


def _fused(groups: Groups) -> bool | None:
    """Whether all numbers of a weight are moved in one walk through memory, where torch would not choose to.

    On a CPU, a step of large tables costs what walking through them costs. ``None`` leaves it to torch: elsewhere, and
    where weights are sharded.
    """
    weights = [weight for group in groups for weight in group["params"]]
    plain = all(type(w) is nn.Parameter and w.device.type == "cpu" and w.is_floating_point() for w in weights)
    return True if plain else None


class Sgd:
    """Gradient descent: ``p -= lr * (g + decay * p)``, with momentum ``b = momentum * b + g`` in place of g."""

    def __init__(self, options: SgdOptions, context: Context) -> None:
        self._options = options

    def __call__(self, groups: Groups) -> torch.optim.Optimizer:
        o = self._options
        return torch.optim.SGD([dict(one) for one in groups], momentum=o.momentum, nesterov=o.nesterov)


class Adafactor:
    """Adafactor (arXiv 1804.04235, alg. 4-5): of squared gradients only means of rows and columns are remembered.

        p -= max(eps, rms(p)) * min(lr, step^(-1/2)) * u / max(1, rms(u) / clip),   u = g / sqrt(rows x columns)

    The stage's rate is therefore a share of a weight's own size. No first moment.
    """

    def __init__(self, options: AdafactorOptions, context: Context) -> None:
        self._options = options

    def __call__(self, groups: Groups) -> torch.optim.Optimizer:
        o = self._options
        if any(isinstance(weight, DTensor) for group in groups for weight in group["params"]):
            raise InputError(
                "adafactor remembers rows and columns of whole weights, and these are spread over processes",
                where="--shard",
                fix="use the optimiser adamw, or drop --shard",
            )
        return torch.optim.Adafactor([dict(one) for one in groups], beta2_decay=o.decay, eps=(None, o.eps), d=o.clip)


def grouped(policy: Policy, parameters: Mapping[str, nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Groups for an optimiser: those that the policy asks for, then all others.

    Args:
        policy: may have ``param_groups``.
        parameters: all that is trained, by name.
        weight_decay: the stage's.

    Returns:
        Mappings with ``params``, ``weight_decay``, ``lr`` and ``factor``, what the stage's rate is multiplied by.

    Raises:
        PoloError: a name fits no parameter, or a parameter is in two groups.
    """
    made: list[dict[str, Any]] = []
    taken: dict[str, ParamGroup] = {}
    for group in policy.param_groups() if isinstance(policy, Grouped) else ():
        names = [name for name in parameters if any(_fits(name, wanted) for wanted in group.names)]
        lost = [wanted for wanted in group.names if not any(_fits(name, wanted) for name in names)]
        twice = [name for name in names if name in taken]
        if lost or twice:
            what = f"name nothing that is trained: {', '.join(lost)}" if lost else f"share {', '.join(twice)}"
            raise PoloError(f"the policy's parameter groups {what}", where="policy",
                            fix=f"a fault of its param_groups; parameters are {', '.join(parameters)}")  # fmt: skip
        taken |= dict.fromkeys(names, group)
        made.append(_group([parameters[name] for name in names], group, weight_decay))
    rest = [parameter for name, parameter in parameters.items() if name not in taken]
    return [*made, _group(rest, ParamGroup(names=()), weight_decay)] if rest else made


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")


def _group(parameters: list[nn.Parameter], group: ParamGroup, weight_decay: float) -> dict[str, Any]:
    decay = weight_decay * group.weight_decay
    return {"params": parameters, "lr": group.lr, "factor": group.lr, "weight_decay": decay}
