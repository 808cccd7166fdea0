"""Part ``scoring``: the contestants of ``benchmarks/score.py`` that need no vLLM, at 20, 100 and 1,000 candidates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import score
import torch
from step_bench.world import Shape

from gpu_bench.models import SHAPES, TOY, random_base
from gpu_bench.report import Report
from polo_vllm.check import TOLERANCE

#: candidates, and users that are scored at a time: so many that a contestant needs a second or so
SIZES = {20: 64, 100: 32, 1000: 16}
TOY_SIZES = {4: 2, 104: 2}


def part(report: Report) -> None:
    """Cells ``scoring/SHAPE N``."""
    shape = TOY if report.toy else SHAPES["llama-1b"]
    made: list[Any] = []

    def model() -> Any:
        if not made:
            made.append(random_base(shape, report.device, torch.bfloat16 if report.gpu else torch.float32))
        return made[0]

    for n, users in (TOY_SIZES if report.toy else SIZES).items():
        name = f"scoring/{shape.name} {n}"
        report.cell(name, lambda n=n, users=users: measured(shape, model(), n, users, gpu=report.gpu))


def measured(shape: Shape, model: Any, n: int, users: int, *, gpu: bool) -> dict[str, Any]:
    """All contestants at ``n`` candidates, and whether their scores agree."""
    with torch.no_grad():
        lines = score.measure(shape, model, None, users, n, 2, n <= score.FEW, gpu)
    limit = TOLERANCE["bfloat16" if gpu else "float32"]
    differ = [line.contestant for line in lines if (line.max_difference or 0.0) > limit]
    return {
        "users_per_s": {line.contestant: line.rate for line in lines},
        "lines": [asdict(line) for line in lines], "tolerance": limit, "agrees": not differ, "differ": differ,
    }  # fmt: skip
