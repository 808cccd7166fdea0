"""A recipe of which something is asked that it cannot have, and how far it comes."""

from __future__ import annotations

from pathlib import Path

from polo.console import Console
from polo.plugin.load import load_plugins
from polo.recipe import load
from polo.run.compose import Composer
from polo.run.prepare import Prepared, prepare

RECIPE = """\
polo: 1
name: refused
data: small
policy: toy_similarity
reference: none
stages:
  fit:
    loss: bpr
    sampler: uniform
    steps: 1
    lr: 1
evaluate: {evaluators: [mrr], baselines: []}
"""


def prepared(folder: Path, data: str, baselines: str) -> Prepared:
    """The recipe with `mf`, up to its first step."""
    path = folder / "refused.yaml"
    path.write_text(RECIPE.replace("baselines: []", f"baselines: {baselines}"), encoding="utf-8")
    plugins = load_plugins(files=[Path(__file__).with_name("crossing_plugin.py")])
    words = (f"data={data}", "policy={use: mf, dim: 4}", "candidates.n=all")
    resolved = load(path, overrides=words, profile="none", plugins=plugins, gpu=False)
    composer = Composer(resolved, plugins.catalogue, Console(silent=True))
    return prepare(resolved.recipe, composer, composer.data())
