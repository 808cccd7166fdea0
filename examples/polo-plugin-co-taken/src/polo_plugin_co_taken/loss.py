"""The loss head `focal_pairs`."""

import torch
from jaxtyping import Bool, Float
from polo import Context, Need, Scores
from torch import Tensor
from torch.nn.functional import softplus

from polo_plugin_co_taken.options import FocalPairsOptions


class FocalPairs:
    """Mean over kept negatives j of ``(1 - p_j)^gamma * -log p_j`` with ``p_j = sigmoid(beta_j (r_chosen - r_j))``.

    The focal loss (Lin et al., arXiv 1708.02002, eq. 4) of each pair: pairs that are told apart already count little, so
    that near misses count most. gamma = 0 is DPO's loss. ``r = log pi - log ref``, or the score without a reference.
    """

    needs: frozenset[Need] = frozenset({"negatives"})

    def __init__(self, options: FocalPairsOptions, context: Context) -> None:
        self._gamma = options.gamma

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        ratio = scores.log_ratio
        margin = beta * torch.where(keep, ratio[:, :1] - torch.where(keep, ratio[:, 1:], 0.0), 0.0)
        # 1 - p = sigmoid(-margin) = exp(-softplus(margin)): finite, with finite slope, for any gamma
        pairs = torch.where(keep, torch.exp(-self._gamma * softplus(margin)) * softplus(-margin), 0.0)
        return pairs.sum(-1) / keep.sum(-1).clamp(min=1)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        """``2^-gamma log 2``: every margin is 0 where policy and reference agree."""
        value = 2.0**-self._gamma * torch.log(torch.tensor(2.0, dtype=torch.float64))
        return torch.where(keep.any(-1), value, 0.0)
