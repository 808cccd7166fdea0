"""The start-up check: the chosen engine against the naive form on a few rows. Knows tolerances."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor

from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.shorter import own_forwards, restore
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded

#: largest difference of a score near 0 in nats that rounding can explain; the failures looked for show as 0.4 to 4 nats
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 1e-1}


def check_engine(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype) -> str:
    """Compares ``scorer.engine`` with ``naive`` in evaluation mode; puts ``naive`` in its place if they differ.

    Args:
        scorer: the module, whose engine may be replaced.
        encoded: a few rows.
        dtype: of the model; scores of long titles are allowed a relative part of the tolerance too.

    Returns:
        What is wrong, one sentence; empty if nothing is.
    """
    device = next(scorer.parameters()).device
    name = f"engine `{scorer.engine.name}`"
    problem = _compare(scorer, encoded, dtype, name, lambda: scorer(scorer.engine.layout(encoded, device)))
    if problem:
        scorer.engine = Naive()
        restore(scorer.model)
    return problem


def check_tree(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, compiled: Compiled | None = None) -> str:
    """The same for titles scored as a tree, one title a pass, so that kept keys and values are compared too.

    Nothing is replaced. With ``compiled``: by compiled layers, which are compiled now.
    """
    device = next(scorer.parameters()).device

    def compute() -> Tensor:
        with compiled.layers() if compiled else contextlib.nullcontext():
            return tree_scores(scorer, encoded, 1, device)

    return _compare(scorer, encoded, dtype, "the compiled tree" if compiled else "the tree", compute)


def _compare(
    scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, name: str, compute: Callable[[], Tensor]
) -> str:
    training, judge = scorer.training, CandidateScorer(scorer.model, Naive())
    scorer.eval()
    try:
        with torch.no_grad():
            with own_forwards(scorer.model):
                expected = judge(judge.engine.layout(encoded, next(scorer.parameters()).device))
            found = compute()
        limit = TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]) * (1 + expected.abs() / 25)  # many or unlikely tokens
        if bool(((found - expected).abs() <= limit).all()):
            return ""
        return f"{name} differs from `naive` by up to {float((found - expected).abs().max()):.2g} nats on this model"
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError) as error:
        # What an unknown architecture does with our masks cannot be foreseen; the naive form needs none.
        return f"{name} fails on this model ({type(error).__name__}: {str(error).splitlines()[0]})"
    finally:
        scorer.train(training)
