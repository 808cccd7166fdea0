"""Negatives that the policy itself would choose: drawn from its own distribution over the whole catalogue."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import PAD, Context, Draw, Gift, Need, Peek, PeekDraw, PoloError, Ragged, RowRandom, Rows, Scores
from polo_preference.options.samplers import PolicyDrawOptions
from polo_preference.samplers.pool import barred_items, catalogue_only, splits_of
from polo_preference.samplers.weighted import log_q

#: log-probabilities below it are taken for it: their exponentials are no float64
LEAST: Final = -700.0


class PolicyDraw:
    """k different items, drawn one after the other by the policy's distribution as it is now.

    The target, the shown history and what is known from training cannot be drawn: q is the distribution over the
    others. With ``log_q`` (:func:`~polo_preference.samplers.weighted.log_q`, weights q) counting each of n draws
    ``1 / (n q)`` times counts every item that the row can draw once in expectation, so that ``sdpo_sampled`` stands for
    S-DPO over the catalogue; where q is proportional to the exponentials in its sum, that estimate is the sum itself
    and its gradient is exact in expectation (Bengio & Senecal 2008).
    """

    needs: frozenset[Need] = frozenset({"draw_items", "items"})
    gives: frozenset[Gift] = frozenset({"log_q"})

    def __init__(self, options: PolicyDrawOptions, context: Context) -> None:
        self.k, self._splits = options.k, splits_of(context)

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """Draws anew in every epoch, since the policy is another one then.

        Raises:
            PoloError: the policy draws no items, or the prompts show lists.
        """
        catalogue_only(rows, "`policy`")
        if not isinstance(peek, PeekDraw):
            raise PoloError("this policy draws no items", where="sampler: policy", fix="use a text policy")
        never = barred_items(rows, self._splits.known_train)
        without = Ragged.of([line[line >= 0].tolist() for line in never])
        drawn = peek.draw_items(rows, self.k, rng.child("policy"), without=without)
        valid = drawn.items != PAD
        q = log_q(np.exp(np.where(valid, np.maximum(drawn.logq, LEAST), 0.0)), valid, np.ones(len(rows)), drawn.allowed)
        items = torch.from_numpy(np.where(valid, drawn.items, 0))
        return Draw(items, torch.from_numpy(valid), torch.from_numpy(q).float())

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
