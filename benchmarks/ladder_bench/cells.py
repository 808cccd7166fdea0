"""Which cells there are, most telling first, and what each changes of a recipe. Knows recipes by name; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: data set -> the recipe that reads it
DATA = {
    "amazon-beauty-2014": ROOT / "recipes" / "beauty_tfllmer_sasrec.yaml",
    "ml-1m": ROOT / "recipes" / "ml1m_tfllmer_gru4rec.yaml",
}
BACKBONES = {
    "sasrec": "use: sasrec, dim: {dim}, layers: 2, heads: 1, dropout: 0.2",
    "gru4rec": "use: gru4rec, dim: {dim}, hidden: {hidden}, dropout: 0.2",
}
#: rung -> the encoder's recipe, in the order of the ladder; ``TEXT`` stands for the vectors of the texts
RUNGS = {
    "random": "null",
    "raw": "TEXT",
    "pca": "{{use: pca, k: {dim}, from: TEXT}}",
    "pca + norm": "{{use: norm, from: {{use: pca, k: {dim}, from: TEXT}}}}",
    "whiten": "{{use: whiten, k: {dim}, from: TEXT}}",
    "rec_pca": "{{use: rec_pca, k: {dim}, from: TEXT}}",
    "rec_pca + norm": "{{use: norm, from: {{use: rec_pca, k: {dim}, from: TEXT}}}}",
}
TEXTS = ("lsa", "minilm")
#: what becomes of the encoder's vectors; those of the rung ``raw`` are wider than the policy and need an adapter
USES = ("adapter", "start", "frozen")


@dataclass(frozen=True)
class Cell:
    """One run."""

    data: str
    backbone: str
    text: str
    use: str
    rung: str
    seed: int

    @property
    def key(self) -> str:
        """A name that no other cell has."""
        return f"{self.data}/{self.backbone}/{self.text}/{self.use}/{self.rung}/{self.seed}"


@dataclass(frozen=True)
class Size:
    """How large and how long a run is.

    Args:
        epochs: passes over the training rows.
        batch: rows of a step.
        lr: peak learning rate, constant after a short rise.
        cold: items of at most so many training interactions are cold.
        dim: numbers of a vector.
        hidden: numbers of a recurrent state.
        extra: further overrides of every run.
    """

    epochs: float
    batch: int
    lr: float
    cold: int
    dim: int = 64
    hidden: int = 128
    extra: tuple[str, ...] = ()


def cells(
    data: Sequence[str],
    backbones: Sequence[str],
    texts: Sequence[str],
    uses: Sequence[str],
    rungs: Sequence[str],
    seeds: Sequence[int],
) -> Iterator[Cell]:
    """In the order in which they are worth running: by use, text, backbone, seed, data set, rung.

    Random vectors know no text and no use, and stand with the first ones that are asked for; ``raw`` exists behind an
    adapter alone.
    """
    for use, text, backbone, seed, one, rung in product(uses, texts, backbones, seeds, data, rungs):
        if rung == "random" and (text, use) == (texts[0], uses[0]):
            yield Cell(one, backbone, "none", "none", rung, seed)
        elif rung != "random" and (rung != "raw" or use == "adapter"):
            yield Cell(one, backbone, text, use, rung, seed)


def overrides(cell: Cell, size: Size, vectors: Path, device: str) -> list[str]:
    """What a cell changes of its data set's recipe.

    Args:
        cell: the cell.
        size: of the run.
        vectors: folder with ``DATA-TEXT.npy`` and ``DATA-TEXT.ids``.
        device: ``cpu`` or ``cuda``.
    """
    at = vectors / f"{cell.data}-{cell.text}"
    text = f'{{use: file, path: "{at}.npy", ids: "{at}.ids"}}'
    encoder = RUNGS[cell.rung].format(dim=size.dim).replace("TEXT", text)
    # null, and not nothing: overrides go into what the recipe says
    items = "{encoder: null}" if encoder == "null" else f"{{encoder: {encoder}, as: {cell.use}}}"
    policy = BACKBONES[cell.backbone].format(dim=size.dim, hidden=size.hidden)
    return [
        f"policy={{{policy}, items: {items}}}",
        f"seed={cell.seed}",
        f"device={device}",
        "precision=fp32",
        "stages.prefer.loss=cross_entropy",
        "stages.prefer.sampler=null",
        f"stages.prefer.epochs={size.epochs}",
        f"stages.prefer.batch={size.batch}",
        f"stages.prefer.lr={size.lr}",
        "stages.prefer.tokens_per_pass=1048576",
        "stages.prefer.validate.every=0",
        "stages.prefer.select=last",
        "evaluate.baselines=[]",
        "evaluate.evaluators=[{use: recall, k: [10, 20]}, {use: ndcg, k: [10, 20]}]",
        *size.extra,
    ]
