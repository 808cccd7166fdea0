"""Leaves out pairs that the reference separates already, as LPO's data are prepared."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from polo import Context, Need, PoloError, RowRandom, SamplerWrapper, Scores
from polo_lpo.options import ReferenceMarginOptions


class ReferenceMargin(SamplerWrapper):
    """Keeps a pair unless ``ref(chosen) - ref(rejected) > most``, log-probabilities per token (or summed).

    The released preparation of LPO (arXiv 2508.14947) drops pairs by this rule, averaged, at 2.0, before training. Here
    such a pair stays in its batch and enters no loss; a row without a pair left counts in no mean. Only a batch's
    composition differs.

    Example (2 tokens each; margins 1 and 3 per token):
        >>> import torch
        >>> scores = Scores.of(
        ...     torch.zeros(1, 3), ref=torch.tensor([[-2.0, -4.0, -8.0]]), tokens=torch.full((1, 3), 2)
        ... )
        >>> separated(scores, 2.0, per_token=True).tolist()
        [[False, True]]
    """

    def __init__(self, options: ReferenceMarginOptions, context: Context) -> None:
        tokens: frozenset[Need] = frozenset({"tokens"} if options.length == "mean" else ())
        super().__init__(context.build(options.from_), needs=tokens | {"reference"})
        self._options = options

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        per_token = self._options.length == "mean"
        return super().keep(scores, rng, progress) & ~separated(scores, self._options.most, per_token=per_token)


def separated(scores: Scores, most: float, *, per_token: bool) -> Bool[Tensor, "b k"]:
    """Which negatives the reference scores lower than the chosen one by more than ``most`` nats.

    Raises:
        PoloError: there is no reference.
    """
    if scores.ref is None:
        raise PoloError("this compares scores of the reference, and there is none", where="sampler")
    ref = scores.ref.double()
    if per_token:
        ref = ref / scores.tokens.clamp(min=1)
    found: Bool[Tensor, "b k"] = ref[:, :1] - ref[:, 1:] > most
    return found
