"""HR@1 and the boundary's gradient share against k, drawn with matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_study.summary import Group


def draw(groups: Sequence[Group], out: Path) -> list[Path]:
    """Writes ``collapse-DATA.svg`` and ``.png``; an empty list without matplotlib.

    One column for each objective: HR@1 with intervals and every seed as a dot above, the share of the gradient that
    boundary negatives get below.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    written = []
    for data in dict.fromkeys(group.data for group in groups):
        own = [group for group in groups if group.data == data]
        objectives = list(dict.fromkeys(group.objective for group in own))
        size = (3.6 * len(objectives) + 0.6, 5.2)
        figure, axes = plt.subplots(2, len(objectives), sharex=True, sharey="row", squeeze=False, figsize=size)
        for column, objective in enumerate(objectives):
            for variant in ("plain", "dynamic"):
                line = [g for g in own if (g.objective, g.variant) == (objective, variant)]
                _hits(axes[0][column], line, variant)
                _shares(axes[1][column], line, variant)
            axes[0][column].set_title(f"{data}, {objective}")
            axes[1][column].set_xlabel("negatives k")
        axes[0][0].set_ylabel("HR@1 (test, 95% by user)")
        axes[1][0].set_ylabel("boundary share of gradient")
        axes[0][0].legend()
        figure.tight_layout()
        for ending in ("svg", "png"):
            written.append(out / f"collapse-{data}.{ending}")
            figure.savefig(written[-1], dpi=150)
        plt.close(figure)
    return written


def _hits(axis: Any, line: Sequence[Group], variant: str) -> None:
    if not line:
        return
    colour, ks = _COLOURS[variant], [group.k for group in line]
    values = [group.hit for group in line]
    errors = [[v - low for v, low, _ in values], [high - v for v, _, high in values]]
    axis.errorbar(ks, [v for v, _, _ in values], yerr=errors, color=colour, marker="o", capsize=3, label=variant)
    for group in line:
        axis.plot([group.k] * len(group.seeds), group.by_seed, ".", color=colour, alpha=0.4)
    sft = [group.mean("sft/hit_ratio@1", "value") for group in line]
    if variant == "plain" and sft[0] is not None:
        axis.axhline(sft[0], color="grey", linestyle=":", label="SFT")


def _shares(axis: Any, line: Sequence[Group], variant: str) -> None:
    found = [(group.k, group.mean("gradient_end", "boundary_share")) for group in line]
    kept = [(k, share) for k, share in found if share is not None]
    axis.plot([k for k, _ in kept], [share for _, share in kept], color=_COLOURS[variant], marker="o")
    axis.set_ylim(0, 1.05)


_COLOURS = {"plain": "tab:red", "dynamic": "tab:blue"}
