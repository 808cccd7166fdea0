"""The cells of the study, and each cell as a recipe with overrides. Knows names and settings; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
#: name of a data set in the study -> its recipe and the profile that gives it a model small enough to be made here
DATA: Mapping[str, tuple[str, str]] = {
    "ml100k": ("ml100k_dynamicpo.yaml", "cpu"),
    "lastfm": ("lastfm_dynamicpo.yaml", "cpu"),
    "demo": ("quickstart.yaml", "none"),
}
VARIANTS = ("plain", "dynamic")


@dataclass(frozen=True, order=True)
class Cell:
    """One run: an objective with k negatives, plain or with DynamicPO, from the SFT stage of its seed."""

    data: str
    seed: int
    objective: str
    k: int
    variant: str

    @property
    def key(self) -> str:
        """Names its files."""
        return f"{self.data}-s{self.seed}-{self.objective}-k{self.k}-{self.variant}"


def cells(
    data: Iterable[str], seeds: Iterable[int], objectives: Iterable[str], ks: Iterable[int], variants: Iterable[str]
) -> list[Cell]:
    """All combinations; the seeds of a data set stand together, so that their SFT stage is trained once, first.

    Example:
        >>> [cell.key for cell in cells(["ml100k"], [0], ["dmpo"], [1, 19], ["plain"])]
        ['ml100k-s0-dmpo-k1-plain', 'ml100k-s0-dmpo-k19-plain']
    """
    return [Cell(d, s, o, k, v) for d, s, k, o, v in product(data, seeds, ks, objectives, variants)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all cells of one output folder have in common.

    Args:
        base: options of ``tiny_lm`` as a YAML mapping; empty: its defaults.
        sft_steps, sft_lr, sft_batch: the supervised stage; 0 steps: as long as the recipe says.
        steps, lr, batch, clip, beta, margin: the preference stage; ``margin`` is DynamicPO's.
        pool: the sampler that draws, with option ``k``.
        valid_rows: validation rows measured before and after the stage.
        rows: test rows, or ``None`` for all.
        tokens_per_pass: memory, not mathematics.
        extra: further overrides of every run.
    """

    base: str
    sft_steps: int
    sft_lr: float
    sft_batch: int
    steps: int
    lr: float
    batch: int
    clip: float
    beta: float
    margin: float
    pool: str
    valid_rows: int
    rows: int | None
    tokens_per_pass: int
    extra: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "extra": list(self.extra)}


def overrides(cell: Cell, settings: Settings, out: Path) -> list[str]:
    """The words behind ``polo run RECIPE`` that make the cell."""
    drawn = f"{{use: {settings.pool}, k: {cell.k}}}"
    sampler, beta = {
        "plain": (drawn, f"{{use: fixed, value: {settings.beta}}}"),
        "dynamic": (
            f"{{use: boundary, from: {drawn}}}",
            f"{{use: dual_margin, base: {settings.beta}, margin: {settings.margin}}}",
        ),
    }[cell.variant]
    words = [
        "name=collapse",
        f"seed={cell.seed}",
        f"out={out}",
        f"stages.prefer.sampler={sampler}",
        f"stages.prefer.beta={beta}",
        f"stages.prefer.loss={cell.objective}",
        "stages.prefer.epochs=null",
        f"stages.prefer.steps={settings.steps}",
        f"stages.prefer.lr={settings.lr}",
        f"stages.prefer.batch={settings.batch}",
        f"stages.prefer.clip={settings.clip}",
        f"stages.sft.lr={settings.sft_lr}",
        f"stages.sft.batch={settings.sft_batch}",
        "evaluate.evaluators=[{use: hit_ratio, k: [1]}, {use: ndcg, k: [10]}]",
        "evaluate.baselines=[]",
        "evaluate.scorer=policy",
    ]
    for stage in ("sft", "prefer"):
        words.append(f"stages.{stage}.tokens_per_pass={settings.tokens_per_pass}")
        words.append(f"stages.{stage}.validate={{every: 0, rows: {settings.valid_rows}}}")
    if settings.sft_steps:
        words += ["stages.sft.epochs=null", f"stages.sft.steps={settings.sft_steps}"]
    if settings.base:
        words.append(f"policy.base={settings.base}")
    if settings.rows is not None:
        words.append(f"evaluate.rows={settings.rows}")
    return [*words, *settings.extra]
