"""DynamicPO's choice of negatives: those the policy confuses with the target."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, PoloError, RowRandom, SamplerWrapper, Scores
from polo_dynamicpo.clustering import top_cluster
from polo_dynamicpo.options import BoundaryOptions
from polo_dynamicpo.replication import require_sklearn, top_cluster_sklearn

_CLUSTER = {"exact": top_cluster, "sklearn": top_cluster_sklearn}


class Boundary(SamplerWrapper):
    """Keeps the boundary negatives of each row; DynamicPO, section on boundary negatives, arXiv 2605.00327.

    ``V = {j : lp(y_j) >= lp(y_w)}`` with lp the policy's log-probability (no reference). If V is not empty, it is kept
    whole; otherwise the highest of three clusters of the lp(y_j) (or the ``top_k`` highest).

    A value that is not a number cannot be compared: on a CPU that is an error here; on an accelerator, where asking
    would stall the device, such a row keeps all its negatives, so that its loss is not finite and the loop names it.
    """

    def __init__(self, options: BoundaryOptions, context: Context) -> None:
        needs: frozenset[Need] = frozenset({"tokens"} if options.statistic == "mean" else ())
        super().__init__(context.build(options.from_), needs)
        self._options = options
        self._cluster = _CLUSTER[options.method]
        if options.method == "sklearn":
            require_sklearn()

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        """Boundary set B of each row, bool ``[B, K]``; at least one negative where the row has any.

        Raises:
            PoloError: scores that are not finite (on a CPU).
        """
        among = super().keep(scores, rng, progress)
        x = scores.policy.double()
        if self._options.statistic == "mean":
            x = x / scores.tokens.clamp(min=1)
        broken = broken_rows(x, among, scores.rows)
        chosen, rejected = x[:, :1], torch.where(among & ~broken, x[:, 1:], 0.0)
        violating = among & (rejected >= chosen)
        calm = among & ~broken
        if self._options.top_k is not None:
            order = torch.where(calm, rejected, -torch.inf).argsort(dim=-1, descending=True, stable=True)
            upper = calm & (order.argsort(dim=-1) < self._options.top_k)
        else:
            upper = self._cluster(rejected, calm, self._options.clusters)
        kept = torch.where(violating.any(-1, keepdim=True), violating, upper)
        return torch.where(broken, among, kept)


def broken_rows(x: Float[Tensor, "b n"], among: Bool[Tensor, "b k"], rows: Tensor) -> Bool[Tensor, "b 1"]:
    """``[B, 1]``: the chosen or a drawn negative is not finite. Raises on a CPU, where asking costs nothing."""
    bad = (among & ~x[:, 1:].isfinite()).any(-1, keepdim=True) | ~x[:, :1].isfinite()
    if x.device.type == "cpu" and bool(bad.any()):
        row = int(rows[bad[:, 0]][0])
        raise PoloError(
            f"the policy's scores of row {row} are not finite; they cannot be put in order",
            where="sampler boundary",
            fix="lower the learning rate, or look at that row's text",
        )
    return bad
