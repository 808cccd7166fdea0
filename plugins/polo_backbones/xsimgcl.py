"""The policy ``xsimgcl``: LightGCN with noise on the way, and a contrastive term between two of its layers."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from polo import BoolArray, Context, IntArray, seed_of
from polo_backbones.lightgcn import LightGCN, LightGCNNet, mean
from polo_backbones.options import XSimGCLOptions


def contrast(first: Float[Tensor, "n d"], second: Float[Tensor, "n d"], tau: float) -> Float[Tensor, ""]:
    """``-1/n sum_i log( exp(cos(a_i, b_i) / tau) / sum_j exp(cos(a_i, b_j) / tau) )``, InfoNCE of two views.

    Example (cosines 1 on the diagonal and 0 beside it: log(1 + 1/e)):
        >>> view = torch.eye(2)
        >>> round(contrast(view, 3 * view, 1.0).item(), 4)
        0.3133
    """
    cosines = normalize(first, dim=-1) @ normalize(second, dim=-1).T
    return cross_entropy(cosines / tau, torch.arange(len(first), device=first.device))


class XSimGCLNet(LightGCNNet):
    """LightGCN whose steps are disturbed while it is trained, all passes and processes of an optimiser step alike."""

    def __init__(
        self,
        options: XSimGCLOptions,
        known: BoolArray,
        items: int,
        graph: Float[Tensor, "n n"],
        generator: torch.Generator,
    ) -> None:
        super().__init__(options, known, items, graph, generator)
        self._o = options
        #: what the noise is drawn from; another one in each optimiser step
        self.seed = 0

    def propagated(self) -> tuple[Float[Tensor, "u d"], Float[Tensor, "i d"]]:
        """``E = 1/L sum_(l=1..L) E_l``, of users and of items."""
        return self.parted(mean(islice(self.steps(), 1, None)))

    def step(self, now: Float[Tensor, "n d"], layer: int) -> Float[Tensor, "n d"]:
        """``E + noise sign(E) u / |u|``, u uniform on [0, 1): noise of that length, in each vector's own orthant."""
        moved = super().step(now, layer)
        if not self.training or not self._o.noise:
            return moved
        generator = torch.Generator(device=moved.device).manual_seed(seed_of(self.seed, layer))
        u = torch.rand(moved.shape, generator=generator, device=moved.device, dtype=moved.dtype)
        return moved + self._o.noise * moved.sign() * normalize(u, dim=-1)

    @property
    def has_terms(self) -> bool:
        return super().has_terms or self._o.contrast > 0

    def terms(self, batch: dict[str, Tensor], items: Int[Tensor, "b n"]) -> dict[str, Float[Tensor, ""]]:
        found = super().terms(batch, items)
        if self._o.contrast:
            found["contrastive"] = self._o.contrast * self.contrasted(batch["users"], batch["targets"])
        return found

    def contrasted(self, users: Int[Tensor, " u"], items: Int[Tensor, " i"]) -> Float[Tensor, ""]:
        """The contrast of users and that of items, each of which is named once, between mean and layer."""
        steps = list(self.steps())
        final, layer = self.parted(mean(steps[1:])), self.parted(steps[self._o.contrast_layer])
        total = final[0].new_zeros(())
        for a, b, once in zip(final, layer, (users, items), strict=True):
            total = total + contrast(a[once], b[once], self._o.contrast_tau)
        return total


class XSimGCL(LightGCN):
    """XSimGCL: ``score(u, i) = <e_u, e_i>`` of noisy propagation, with a contrast; Yu et al., arXiv 2209.02544.

    ``e = 1/L sum_(l=1..L) E_l`` with ``E_l = D^-1/2 A D^-1/2 E_(l-1) + noise``; when scores are asked for outside of
    training there is no noise. To the loss of a step come ``l2``, and ``contrastive = contrast (C(users) + C(items))``
    with ``C = -1/n sum_i log( exp(cos(e_i, z_i) / tau) / sum_j exp(cos(e_i, z_j) / tau) )`` over the n different users,
    or targets, of the batch, z being the vectors after ``contrast_layer`` steps. Formulas and defaults are those of the
    authors' code, but for l2: the halved squares of what was looked up, where theirs sums norms.

    The noise is drawn from seed, stage and optimiser step: scores and terms of a step see the same, and a run that goes
    on sees what it would have seen. What no training row holds has a vector of zeros, and scores 0. Terms take a
    propagation of their own, so a step costs about twice LightGCN's.

    Example:
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> policy = XSimGCL(XSimGCLOptions(dim=4), context(splits=splits))
        >>> items = torch.tensor([[0, 1]] * 3)
        >>> tuple(policy.score(splits.test, items).shape), sorted(policy.extra_loss(splits.test, items))
        ((3, 2), ['contrastive', 'l2'])
    """

    options: XSimGCLOptions
    net: XSimGCLNet
    net_class = XSimGCLNet

    def __init__(self, options: XSimGCLOptions, context: Context) -> None:
        super().__init__(options, context, name="xsimgcl")
        self._seed, self._stage = context.seed, ""

    def once(self, user: IntArray, target: IntArray) -> dict[str, IntArray]:
        """The batch's users and targets, each of them once: counted here, the device is not waited for."""
        return {"users": np.unique(user), "targets": np.unique(target)}

    def start_stage(self, name: str) -> None:
        self._stage = name

    def before_step(self, step: int) -> None:
        """Noise of its own for each optimiser step."""
        self.net.seed = seed_of(self._seed, "noise", self._stage, step)
