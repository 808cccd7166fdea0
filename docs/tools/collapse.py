"""The README's picture: ``python -m docs.tools.collapse RUN`` draws it from a run of recipes/collapse_demo.yaml.

Reads the run's metrics.jsonl: the hit ratio at 1 on validation rows while the stages ``dmpo`` and ``dynamicpo`` train.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from docs.tools.svg import CHOSEN, LINE, REJECTED, SOFT, line, picture, text

PLACE = Path(__file__).parents[1] / "pictures" / "collapse.svg"
METRIC = "valid/hit_ratio@1"
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760.0, 300.0, 56.0, 40.0, 210.0, 40.0
#: stage -> what the picture calls it, and its colour
LINES = {
    "dmpo": ("all 19 negatives, beta 1", REJECTED),
    "dynamicpo": ("boundary negatives, dual-margin beta", CHOSEN),
}

Measured = tuple[int, float, float, float]


def measured(folder: Path) -> dict[str, list[Measured]]:
    """Stage -> (step, hit ratio, lower, upper end of its 95 % interval), in the order of the steps."""
    found: dict[str, dict[int, Measured]] = {}
    for told in map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines()):
        if METRIC in told:
            values = (told[METRIC], told[f"{METRIC}/low"], told[f"{METRIC}/high"])
            found.setdefault(told["stage"], {})[told["step"]] = (told["step"], *values)
    return {stage: [points[step] for step in sorted(points)] for stage, points in found.items()}


def draw(stages: Mapping[str, Sequence[Measured]]) -> str:
    """Both stages over their steps, with intervals."""
    shown = {stage: stages[stage] for stage in LINES}
    last = max(step for points in shown.values() for step, *_ in points)
    ends = [end for points in shown.values() for _, _, low, high in points for end in (low, high)]
    bottom, top = min(ends) - 0.02, max(ends) + 0.02

    def at(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + step / last * (_WIDTH - _LEFT - _RIGHT)
        return round(x, 1), round(_TOP + (top - value) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [text(12, 22, "Hit ratio at 1 on validation rows; both stages begin at the same supervised one", bold=True)]
    for tenth in range(10):
        if bottom < tenth / 10 < top:
            x, y = at(0, tenth / 10)
            parts += [
                line(x, y, _WIDTH - _RIGHT, y, colour=LINE, width=1),
                text(x - 8, y + 4, f"0.{tenth}", size=11, colour=SOFT, anchor="end"),
            ]
    for step in range(0, last + 1, 10):
        parts.append(
            text(at(step, bottom)[0], _HEIGHT - _BOTTOM + 18, str(step), size=11, colour=SOFT, anchor="middle")
        )
    parts.append(
        text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, "optimiser steps", size=11, colour=SOFT, anchor="middle")
    )
    for stage, points in shown.items():
        words, colour = LINES[stage]
        band = [at(step, high) for step, _, _, high in points] + [at(step, low) for step, _, low, _ in reversed(points)]
        parts.append(f'<polygon points="{_joined(band)}" fill="{colour}" fill-opacity="0.12"/>')
        path = [at(step, value) for step, value, _, _ in points]
        parts.append(f'<polyline points="{_joined(path)}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        x, y = path[-1]
        head, _, tail = words.partition(", ")
        parts += [
            text(x + 8, y - 2, f"{head},", size=12, colour=colour),
            text(x + 8, y + 13, f"{tail} ({points[-1][1]:.2f})", size=12, colour=colour),
        ]
    return picture(_WIDTH, _HEIGHT, "The collapse of preference optimisation, and DynamicPO", parts)


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


if __name__ == "__main__":
    PLACE.write_text(draw(measured(Path(sys.argv[1]))), encoding="utf-8")
    print(PLACE)
