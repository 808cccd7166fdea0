"""Vectors of the items' texts, made once and kept as files for every cell. Knows encoders by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polo.plugin.load import Plugins
from polo.recipe import load
from polo.run.run import Run
from polo.store.files import whole_file

#: data set -> columns of its item table that make an item's text
COLUMNS = {"amazon-beauty-2014": "[title]", "ml-1m": "[title, genres, text]"}


def prepare(data: str, text: str, recipe: Path, encoder: str, folder: Path, plugins: Plugins) -> None:
    """Writes ``DATA-TEXT.npy`` (float16) and ``DATA-TEXT.ids`` of a recipe's items.

    Args:
        data, text: name the files.
        recipe: reads the data.
        encoder: a recipe of an encoder, such as ``{use: lsa, k: 256}``.
        folder: where the files go.
        plugins: loaded plugins.
    """
    words = [f"policy.items={{encoder: {encoder}, as: adapter}}", "device=cpu", "evaluate.baselines=[]"]
    resolved = load(recipe, overrides=words, profile="none", plugins=plugins, gpu=False)
    ready = Run(resolved, plugins).prepare()
    made = ready.composer.build(resolved.recipe.policy.options.items.encoder)
    vectors = made.vectors(ready.splits.items, ready.splits)
    place = folder / f"{data}-{text}.npy"
    with whole_file(place) as temporary, temporary.open("wb") as file:
        np.save(file, np.asarray(vectors, np.float16))
    with whole_file(place.with_suffix(".ids")) as temporary:
        temporary.write_text("\n".join(ready.splits.items.ids) + "\n", encoding="utf-8")
