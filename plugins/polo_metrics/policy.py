"""Metrics of policies alone: calibration of the implicit reward, and what greedy generation would have scored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo import Context, FloatArray, InputError, Ranked


class Reward:
    """The implicit reward r(c) = log pi(c) - log pi_ref(c) of DPO (arXiv 2305.18290, eq. 5), without its factor beta.

    ``reward_accuracy``: share of negatives with a lower reward than the target, ties one half.
    ``reward_margin``: reward of the target minus the mean reward of the negatives, in nats.
    """

    needs = frozenset({"scores", "reference"})

    def __init__(self, options: None, context: Context) -> None: ...

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        if ranked.reference is None:
            raise ValueError("reward needs the reference's scores")
        reward = ranked.scores - ranked.reference
        own = np.take_along_axis(reward, ranked.truth[:, None], axis=1)
        others = ranked.length - 1
        below = (ranked.negatives & (reward < own)).sum(axis=1) + 0.5 * (ranked.negatives & (reward == own)).sum(axis=1)
        rejected = np.where(ranked.negatives, reward, 0.0).sum(axis=1) / np.maximum(others, 1)
        alone = others == 0
        return {
            "reward_accuracy": np.where(alone, 1.0, below / np.maximum(others, 1)),
            "reward_margin": np.where(alone, 0.0, own[:, 0] - rejected),
        }


class ValidRatio:
    """The published protocol: greedy completion of at most 20 tokens, valid iff exactly one candidate's title is in it.

    ``valid_ratio``: valid or not. ``generated_hit_ratio@1``: valid, and the one title is the target's; a completion
    that is not valid is a miss. Upper and lower case are alike. Titles that contain other titles of their list, or two
    items with one title, cannot be told apart (arXiv 2312.02445, evaluation): scores can.
    """

    needs = frozenset({"generation", "items"})

    def __init__(self, options: None, context: Context) -> None:
        if context.splits is None:
            raise InputError("valid_ratio needs the titles", where="evaluate.evaluators", fix="use it in a recipe")
        self._titles = [title.strip().lower() for title in context.splits.items.titles]

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        if ranked.generated is None or ranked.rows.candidates is None:
            raise ValueError("valid_ratio needs completions and candidate lists")
        valid, hit = np.zeros(len(ranked.rows)), np.zeros(len(ranked.rows))
        lists = ranked.rows.candidates.tolist()
        for row, (text, listed) in enumerate(zip(ranked.generated, lists, strict=True)):
            said = text.lower()
            named = [item for item in listed if self._titles[item] in said]
            valid[row] = len(named) == 1
            hit[row] = named == [ranked.rows.target[row]]
        return {"valid_ratio": valid, "generated_hit_ratio@1": hit}
