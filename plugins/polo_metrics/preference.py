"""Metrics of preference data: how likely answers are per token, and accuracy that length alone cannot win."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo import PAD, Context, FloatArray, InputError, Ranked


class Likelihood:
    """Mean log-probability of a token, in nats: ``likelihood/chosen``, and ``likelihood/rejected`` over a row's others.

    Preference losses may raise the difference of two answers while both become less likely; this shows it.
    """

    needs = frozenset({"scores", "tokens"})

    def __init__(self, options: None, context: Context) -> None: ...

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        if ranked.tokens is None:
            raise ValueError("likelihood needs the number of tokens")
        each = ranked.scores / ranked.tokens
        chosen = each[np.arange(len(each)), ranked.truth]
        others = ranked.negatives
        count = others.sum(axis=1)
        rejected = np.where(others, each, 0.0).sum(axis=1) / np.maximum(count, 1)
        return {"likelihood/chosen": chosen, "likelihood/rejected": np.where(count > 0, rejected, chosen)}


class LengthControlled:
    """``length_controlled_accuracy``: half the accuracy on pairs whose chosen answer is the longer one, half that on
    pairs whose chosen answer is the shorter one.

    A system that knows nothing but length is right on one kind and wrong on the other, so it gets 1/2 whatever the
    share of longer chosen answers; so does chance. Pairs are (chosen, rejected); ties of scores count one half. Length
    is in characters, and pairs of equal length are left out. Where all pairs are of one kind their accuracy stands,
    and where no pair has unlike lengths there is nothing to control: it is ``preference_accuracy``.

    A row's value is its part in the mean: with N rows, L and S pairs of each kind and a_j in {0, 1/2, 1} it is
    ``N/2 (sum of a_j over its longer pairs / L + sum of a_j over its shorter pairs / S)``, so that the mean over rows
    is the metric and its interval is clustered as all are; single values may exceed 1.
    """

    needs = frozenset({"scores", "all_rows"})

    def __init__(self, options: None, context: Context) -> None:
        if context.splits is None:
            raise InputError("this needs the answers", where="evaluate.evaluators", fix="use it in a recipe")
        self._length = np.array([len(title) for title in context.splits.items.titles], dtype=np.int64)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        lists = ranked.rows.candidates
        if lists is None:
            raise ValueError("length_controlled needs candidate lists")
        length = np.where(lists == PAD, 0, self._length[lists])
        own = np.arange(len(lists)), ranked.truth
        chosen, score = length[own][:, None], ranked.scores[own][:, None]
        right = (ranked.scores < score) + 0.5 * (ranked.scores == score)
        value, kinds = np.zeros(len(lists)), 0
        for kind in (ranked.negatives & (length < chosen), ranked.negatives & (length > chosen)):
            if kind.any():
                value += np.where(kind, right, 0.0).sum(axis=1) / kind.sum()
                kinds += 1
        found = value * len(lists) / kinds if kinds else ranked.accuracy()
        return {"length_controlled_accuracy": found}
