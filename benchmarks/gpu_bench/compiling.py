"""Part ``compile``: ``policy.compile``, which compiles the layers where no gradient is needed, on and off."""

from __future__ import annotations

import statistics
from typing import Any

import score
import torch
from score import timed
from step_bench.world import random_users

from gpu_bench.models import SHAPES, TOY, random_base
from gpu_bench.report import Report
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.choose import choose_engine
from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from polo_vllm.check import TOLERANCE


def part(report: Report) -> None:
    """The cell ``compile/SHAPE``."""
    shape = TOY if report.toy else SHAPES["llama-1b"]
    report.cell(f"compile/{shape.name}", lambda: compiled(shape, report))


def compiled(shape: Any, report: Report) -> dict[str, Any]:
    """Seconds of 100 candidates each, plain and compiled, and whether their scores agree."""
    users, n = (2, 8) if report.toy else (32, 100)
    model = random_base(shape, report.device, torch.bfloat16 if report.gpu else torch.float32)
    scorer = CandidateScorer(model, choose_engine("split", model, 512)[0]).eval()
    prompts = list(random_users(shape, users, 1, 2).prompts)
    encoded = Encoded(prompts, [score.catalogue(shape, n, seed) for seed in range(users)])
    # without a GPU the toy is traced and run, and no code is generated
    fast = Compiled(causal_lm(model), backend="inductor" if report.gpu else "eager")

    def scored() -> torch.Tensor:
        return tree_scores(scorer, encoded, score.BUDGET, torch.device(report.device))

    plain = scored()
    with fast.layers():
        first, found = timed(scored, report.gpu)
        timed(scored, report.gpu)
    pairs = []
    for _ in range(3):
        slow = timed(scored, report.gpu)[0]
        with fast.layers():
            pairs.append((slow, timed(scored, report.gpu)[0]))
    off = float((plain - found).abs().max())
    limit = TOLERANCE["bfloat16" if report.gpu else "float32"]
    return {
        "users": users, "candidates": n, "compile_s": first,
        "plain_s": statistics.median(a for a, _ in pairs), "compiled_s": statistics.median(b for _, b in pairs),
        "time_ratio": statistics.median(a / b for a, b in pairs), "max_difference": off, "agrees": off <= limit,
    }  # fmt: skip
