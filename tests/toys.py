"""A small recipe over the toy plugin, and helpers that load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polo.errors import PoloError
from polo.plugin.load import Plugins, load_plugins
from polo.plugin.trust import Trust
from polo.recipe import Resolved, load

TOY = Path(__file__).with_name("toy_plugin.py")
RECIPE = """\
polo: 1
name: toy
data: {use: toy_data, history: 10}
policy: {use: toy_policy, base: meta-llama/Llama-3.2-1B}
reference: sft
stages:
  sft: {loss: toy_bare, epochs: 5, lr: 1e-4}
  prefer:
    sampler: {use: toy_wrapper, from: {use: toy_uniform, k: 19}}
    loss: {use: toy_loss, tau: 2}
    steps: 3
    lr: 1
evaluate: {evaluators: [{use: toy_hits, k: [1, 5]}, toy_hits], baselines: []}
profiles:
  cpu: {policy: {base: {use: toy_base}}}
"""


def plugins(*files: Path) -> Plugins:
    return load_plugins(files=[TOY, *files])


def write(folder: Path, text: str = RECIPE, name: str = "toy.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def resolve(folder: Path, *overrides: str, text: str = RECIPE, profile: str = "none") -> Resolved:
    return load(
        write(folder, text),
        overrides=overrides,
        profile=profile,
        plugins=plugins(),
        gpu=False,
        trust=Trust(started=True),
    )


def refusal(call: Callable[[], Any]) -> PoloError | None:
    """The PoloError that a call ends with, or ``None``; anything else it raises is a failure of the test."""
    try:
        call()
    except PoloError as error:
        return error
    return None
