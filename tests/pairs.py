"""Small preference data made up on the spot: files of it, splits in memory, and a recipe that trains on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polo import Splits
from polo_datasets.preferences.options import PreferencesOptions
from polo_datasets.preferences.source import Preferences
from tests.real_data import context

_COLOURS = ("red", "green", "blue", "grey", "white", "brown")
_THINGS = ("sky", "door", "cat", "sea", "cup", "hat", "tree")


def text_rows(n: int, rejected: int = 1) -> list[dict[str, Any]]:
    """Texts whose chosen answer repeats what the prompt says, of unlike lengths; ``rejected`` of 1 to that many."""
    rows = []
    for i in range(n):
        colour, thing = _COLOURS[i % 6], _THINGS[i % 7]
        others = [_COLOURS[(i + 1 + j) % 6] for j in range(1 + i % rejected)]
        bad = [f" The {thing} is {other}{', I think' * (i % 3)}." for other in others]
        rows.append({
            "prompt": f"Number {i}: the {thing} is {colour}. What colour has it?",
            "chosen": f" The {thing} is {colour}.",
            "rejected": bad if rejected > 1 else bad[0],
        })  # fmt: skip
    return rows


def conversation_rows(n: int, rejected: int = 1) -> list[dict[str, Any]]:
    """The same as conversations, every second with a system message."""

    def said(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content.strip()}

    rows = []
    for i, row in enumerate(text_rows(n, rejected)):
        bad = row["rejected"] if rejected > 1 else [row["rejected"]]
        answers = [[said("assistant", one)] for one in bad]
        rows.append({
            "prompt": [*([said("system", "Answer in one sentence.")] if i % 2 else []), said("user", row["prompt"])],
            "chosen": [said("assistant", row["chosen"])],
            "rejected": answers if rejected > 1 else answers[0],
        })  # fmt: skip
    return rows


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def splits_of(folder: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> Splits:
    """The rows as the data source reads them from a file in ``folder``."""
    path = write(folder / "pairs.jsonl", rows)
    return Preferences(PreferencesOptions(train=str(path), **options), context(folder)).load()


RECIPE = """\
polo: 1
name: pairs
data: {use: preferences, train: PATH}
candidates: {n: 3, negatives: file}
policy:
  use: causal_lm
  base: {use: tiny_lm, hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 2}
  lora: {r: 4, dropout: 0.0}
reference: sft
stages:
  sft: {loss: sft, steps: 3, lr: 1e-3, batch: 8, validate: {rows: 8}}
  prefer:
    sampler: given
    beta: {use: fixed, value: 0.2}
    loss: lpo
    steps: 6
    lr: 1e-3
    batch: 8
    checkpoint: 2
    validate: {rows: 8, every: 3}
evaluate:
  evaluators: [{use: hit_ratio, k: [1]}, reward, likelihood, length_controlled]
  start: true
"""


def recipe(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The recipe beside its data."""
    path = folder / "pairs.yaml"
    path.write_text(RECIPE.replace("PATH", str(write(folder / "pairs.jsonl", rows))), encoding="utf-8")
    return path
