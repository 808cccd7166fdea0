"""The start-up check: the chosen engine against the naive form on a few rows. Knows tolerances."""

from __future__ import annotations

import torch

from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.shorter import own_forwards, restore
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded

#: largest difference of a score in nats that rounding can explain; the failures that are looked for show as 1 to 3 nats
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 5e-2}


def check_engine(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype) -> str:
    """Compares ``scorer.engine`` with ``naive`` in evaluation mode; puts ``naive`` in its place if they differ.

    Args:
        scorer: the module, whose engine may be replaced.
        encoded: a few rows.
        dtype: of the model; scores of long titles are allowed a relative part of the tolerance too.

    Returns:
        What is wrong, one sentence; empty if nothing is.
    """
    device, training, engine = next(scorer.parameters()).device, scorer.training, scorer.engine
    judge = CandidateScorer(scorer.model, Naive())
    scorer.eval()
    try:
        with torch.no_grad():
            with own_forwards(scorer.model):
                expected = judge(judge.engine.layout(encoded, device))
            found = scorer(engine.layout(encoded, device))
        limit = TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]) * (1 + expected.abs() / 100)
        worst = float((found - expected).abs().max())
        problem = (
            ""
            if bool(((found - expected).abs() <= limit).all())
            else f"engine `{engine.name}` differs from `naive` by up to {worst:.2g} nats on this model"
        )
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError) as error:
        # What an unknown architecture does with our masks cannot be foreseen; the naive form needs none.
        problem = f"engine `{engine.name}` fails on this model ({type(error).__name__}: {str(error).splitlines()[0]})"
    finally:
        scorer.train(training)
    if problem:
        scorer.engine = judge.engine
        restore(scorer.model)
    return problem
