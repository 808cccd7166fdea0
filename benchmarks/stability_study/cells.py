"""The cells of the study: which data, which base, what is disturbed. Knows names and settings; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
#: data set -> recipe, profile, overrides
DATA: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "ml100k": ("ml100k_dynamicpo.yaml", "cpu", ()),
    "lastfm": ("lastfm_dynamicpo.yaml", "cpu", ()),
    "demo": ("quickstart.yaml", "none", ()),
    "toy": (
        "quickstart.yaml",
        "none",
        ("data={use: demo, items: 120, users: 60, shortest: 8, longest: 12}", "stages.sft.steps=2"),
    ),
}
#: variant -> options of ``tiny_lm``; ``recipe``: as the recipe has them
VARIANTS: Mapping[str, str] = {
    "recipe": "",
    "all_rows": "hold: 0.0",
    "held": "hold: 0.2",
    "before": "epochs: 4, lr: 5e-3, batch_tokens: 2048, dropout: 0.0, average: 0.0",
    "longer": "lr: 5e-3, batch_tokens: 2048, dropout: 0.0, average: 0.0",
    "calm_mean": "lr: 2e-3, batch_tokens: 2048, dropout: 0.0",
    "drop_mean": "lr: 3e-3, batch_tokens: 2048, dropout: 0.2",
    "drop_skip_mean": "lr: 3e-3, batch_tokens: 2048, dropout: 0.2, skip: 0.3",
    "small_mean": "epochs: 8",
    "last": "average: 0.0",
    "wide": "hidden: 192",
    "wide_drop": "epochs: 16, hidden: 192, dropout: 0.2",
    "wide_long": "epochs: 24, hidden: 192, dropout: 0.2",
    "toy": "hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 1",
}
#: what is disturbed: the seed, the seed of what is added to the initial weights (0: nothing is), the threads
DISTURBED: Mapping[str, tuple[int, int, int]] = {
    **{f"seed{s}": (s, 0, 1) for s in range(5)},
    **{f"noise{n}": (0, n, 1) for n in range(1, 5)},
    "threads2": (0, 0, 2),
}


@dataclass(frozen=True, order=True)
class Cell:
    """One base made and measured, alone and after the stage ``sft``."""

    data: str
    variant: str
    disturbed: str

    @property
    def key(self) -> str:
        """Names its file.

        Example:
            >>> Cell("demo", "recipe", "seed0").key
            'demo-recipe-seed0'
        """
        return f"{self.data}-{self.variant}-{self.disturbed}"

    @classmethod
    def of(cls, key: str) -> Cell:
        data, rest = key.split("-", 1)
        return cls(data, *rest.rsplit("-", 1))


def cells(data: Iterable[str], variants: Iterable[str], disturbed: Iterable[str]) -> list[Cell]:
    """All combinations: one disturbance of everything before the next, so that a run cut short compares all.

    Example:
        >>> [cell.key for cell in cells(["demo"], ["recipe", "toy"], ["seed0", "noise1"])]
        ['demo-recipe-seed0', 'demo-toy-seed0', 'demo-recipe-noise1', 'demo-toy-noise1']
    """
    data, variants = list(data), list(variants)
    return [Cell(d, v, how) for how in disturbed for d in data for v in variants]
