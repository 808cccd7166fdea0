"""The start-up checks: what the model must do, and the chosen engine against the naive form. Knows tolerances."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from polo import InputError
from polo_causal_lm.engines.base import Engine, Layout
from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.shorter import own_forwards, restore
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded

#: largest difference of a score near 0 in nats that rounding can explain; the failures looked for show as 0.4 to 4 nats
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 1e-1}
#: titles of a row that are scored alone and together
_BESIDE = 3


def check_base(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, trained: str) -> None:
    """Scores a few titles with nothing of ours in the model: what is wrong here is the model's own.

    Three things that every causal language model does, and that all engines build on: it computes finite scores; what
    comes after a token does not change its score; and neither do the padded rows beside it.

    Args:
        scorer: the module.
        encoded: at least one row.
        dtype: of the model.
        trained: what of it is trained, in words; some architectures call parts of a module that got an adapter, and not
            the module.

    Raises:
        InputError: if one of them fails, or the model raises an error.
    """
    few = Encoded(encoded.prompts, [titles[:_BESIDE] for titles in encoded.titles])
    fix = "use a base that is a decoder alone, as those of generation are"
    try:
        with _judge(scorer) as judge:
            layouts = [
                judge.engine.layout(Encoded([prompt], [[title]]), _device(scorer))
                for prompt, titles in zip(few.prompts, few.titles, strict=True)
                for title in titles
            ]
            alone = torch.cat([judge(layout) for layout in layouts]).flatten()
            followed = torch.cat([judge(_with_another_end(layout)) for layout in layouts]).flatten()
            together = judge(judge.engine.layout(few, _device(scorer))).flatten()
        if not bool(together.isfinite().all()):
            problem = "scores are not finite"
        elif _beyond(followed, alone, dtype):
            problem = "a token's score depends on the tokens after it, so it is no causal language model"
        else:
            problem = "a title's score depends on the titles beside it" if _beyond(together, alone, dtype) else ""
    except Exception as error:  # what an architecture that nobody has tried may raise cannot be listed
        problem = _said(error)
        fix = "name the layers that get adapters, such as `lora: {targets: [q_proj, v_proj]}`, or use another base"
    if problem:
        name = str(dtype).removeprefix("torch.")
        raise InputError(
            f"the base cannot score titles in {name} with {trained}: {problem}",
            where="policy",
            fix="use `dtype: float32`, the widest that every architecture computes in"
            if dtype == torch.float64
            else fix,
        )


def check_engine(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, slower: Sequence[Engine] = ()) -> str:
    """Compares ``scorer.engine`` with ``naive`` in evaluation mode; puts a slower one in its place if they differ.

    Args:
        scorer: the module, whose engine may be replaced.
        encoded: a few rows.
        dtype: of the model; scores of long titles are allowed a relative part of the tolerance too.
        slower: engines that the model allows as well; the first that is right is taken, ``naive`` if none is.

    Returns:
        What is wrong with the chosen engine, and with those tried after it; empty if nothing is.
    """
    problems = []
    for engine in (*slower, Naive()):
        if not (problem := _wrong(scorer, encoded, dtype)):
            break
        problems.append(problem)
        scorer.engine = engine
        restore(scorer.model)
    return "; ".join(problems)


def check_tree(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, compiled: Compiled | None = None) -> str:
    """The same for titles scored as a tree, one title a pass, so that kept keys and values are compared too.

    Nothing is replaced. With ``compiled``: by compiled layers, which are compiled now.
    """

    def compute() -> Tensor:
        with compiled.layers() if compiled else contextlib.nullcontext():
            return tree_scores(scorer, encoded, 1, _device(scorer))

    return _compare(scorer, encoded, dtype, "the compiled tree" if compiled else "the tree", compute)


def _wrong(scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype) -> str:
    def compute() -> Tensor:
        found: Tensor = scorer(scorer.engine.layout(encoded, _device(scorer)))
        return found

    return _compare(scorer, encoded, dtype, f"engine `{scorer.engine.name}`", compute)


def _compare(
    scorer: CandidateScorer, encoded: Encoded, dtype: torch.dtype, name: str, compute: Callable[[], Tensor]
) -> str:
    try:
        with _judge(scorer) as judge:
            expected = judge(judge.engine.layout(encoded, _device(scorer)))
        with _evaluating(scorer):
            found = compute()
    except Exception as error:  # what an architecture does with our masks cannot be foreseen
        return f"{name} fails on this model ({_said(error)})"
    if _beyond(found, expected, dtype):
        return f"{name} differs from `naive` by up to {float((found - expected).abs().max()):.2g} nats on this model"
    return ""


@contextlib.contextmanager
def _evaluating(scorer: CandidateScorer) -> Iterator[None]:
    training = scorer.training
    scorer.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        scorer.train(training)


@contextlib.contextmanager
def _judge(scorer: CandidateScorer) -> Iterator[CandidateScorer]:
    """The naive form of the same model, every module with the forward of its class."""
    with _evaluating(scorer), own_forwards(scorer.model):
        yield CandidateScorer(scorer.model, Naive())


def _device(scorer: CandidateScorer) -> torch.device:
    return next(scorer.parameters()).device


def _with_another_end(layout: Layout) -> Layout:
    """The last token fed of a row without padding is only ever predicted; here it is another one."""
    ids = layout.ids.clone()
    ids[:, -1] = ids[:, 0]
    return replace(layout, ids=ids)


def _beyond(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    limit = TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]) * (1 + expected.abs() / 25)  # many or unlikely tokens
    return not bool(((found - expected).abs() <= limit).all())


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
