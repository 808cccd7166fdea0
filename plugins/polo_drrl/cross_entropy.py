"""Softmax cross-entropy over the whole catalogue. Looks at no negative, so that a stage needs no sampler for it."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, PoloError, Scores


class CrossEntropy:
    """``L = log sum_i exp(s_i) - s_w``, i over every item; Hidasi & Karatzoglou, arXiv 1706.03847.

    What the sampled softmax estimates. The temperature is the policy's ``tau``: beta is a strength of negatives, and
    there are none. The sum is made of the policy's vectors, some items at a time, so that no more scores are held than
    ``polo.model.catalogue`` says, and for policies that embed alone: the titles of a text policy compete token by
    token already (``sft``). In a ``sum`` with losses of drawn negatives it stands beside them.

    Example (four items, all with score 0: log 4):
        >>> import torch
        >>> scores = Scores.of(torch.zeros(1, 1), log_total=torch.tensor([4.0]).log())
        >>> none = torch.empty(1, 0)
        >>> round(CrossEntropy(None, None)(scores, none.bool(), none).item(), 4)
        1.3863
    """

    needs: frozenset[Need] = frozenset({"catalogue"})

    def __init__(self, options: None, context: Context) -> None: ...

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        if scores.log_total is None:
            raise PoloError("cross_entropy was given no log-total of the catalogue", where="loss",
                            fix="declare what the loss around it needs")  # fmt: skip
        chosen = scores.wide[:, 0]
        return scores.log_total.to(chosen.dtype) - chosen
