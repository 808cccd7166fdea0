"""``polo run --processes 2 --shard``: weights spread over two processes (FSDP2, gloo, CPU) change nothing but memory.

The recipe is made so that the two processes never have the same work: batches of 15 rows in passes of unlike number, a
last batch of one row, 41 rows to evaluate, a head that sees the whole batch, pairs from other rows, text to generate.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.run.toy import command, folder_of, metrics

#: the judge computes the same sums in another order; float32 over nine steps
TOLERANCE = 1e-5

RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10, negatives: uniform}
policy:
  use: causal_lm
  base: {use: tiny_lm, hidden: 32, layers: 2, heads: 2, vocab: 400, epochs: 1}
  lora: {r: 3, dropout: 0.0}
reference: sft
stages:
  sft: {loss: sft, steps: 3, rows: 31, lr: 1e-3, batch: 15, tokens_per_pass: 120, validate: {rows: 21}}
  prefer:
    sampler: {use: boundary, from: {use: uniform, k: 6}}
    beta: {use: dual_margin, margin: 6.0}
    loss: dmpo
    steps: 4
    rows: 31
    lr: 1e-3
    batch: 15
    tokens_per_pass: 250
    checkpoint: 2
    select: best_valid
    validate: {rows: 21, every: 2}
  whole:
    sampler: {use: uniform, k: 4}
    loss: kto
    steps: 3
    rows: 31
    lr: 1e-3
    optimiser: {use: sgd, momentum: 0.9}
    batch: 15
    tokens_per_pass: 250
    validate: {rows: 21}
evaluate:
  evaluators: [{use: hit_ratio, k: [1, 5]}, mrr, valid_ratio]
  rows: 41
  baselines: []
"""

SHARDED = ("--processes", "2", "--shard")

#: a row-wise head that ends the process of rank $DYING when it is called for the 12th time with gradient
DYING = """
import os
import signal

from polo import Component, hookimpl


class Dying:
    needs = frozenset({"negatives"})

    def __init__(self, options, context):
        self._calls = 0

    def __call__(self, scores, keep, beta):
        self._calls += scores.policy.requires_grad
        if self._calls == 12 and os.environ.get("LOCAL_RANK") == os.environ.get("DYING", "none"):
            os.kill(os.getpid(), signal.SIGKILL)
        return ((scores.rejected - scores.chosen[:, None]) * keep).sum(dim=1)


@hookimpl
def polo_loss_heads():
    return [Component(name="dying", build=":Dying", options=None, summary="ends a process", source="none")]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, the head that dies, and caches that hold nothing but the base model."""
    place = tmp_path_factory.mktemp("sharded")
    (place / "toy.yaml").write_text(RECIPE)
    (place / "dying.py").write_text(DYING)
    return place


def start(place: Path, name: str, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run with a cache of its own that holds nothing but the base model."""
    cache = place / f"cache-{name}"
    cache.mkdir(exist_ok=True)
    (place / "tiny_lm").mkdir(exist_ok=True)
    if not (cache / "tiny_lm").exists():
        (cache / "tiny_lm").symlink_to(place / "tiny_lm")
    environment = {"POLO_CACHE": str(cache), "OMP_NUM_THREADS": "1", **environment}
    return command("run", str(place / "toy.yaml"), f"out={place / name}", *words, code=code, **environment)


def run(place: Path, name: str, *words: str) -> Path:
    """Such a run's folder."""
    return folder_of(start(place, name, *words))


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    return run(place, "one")


@pytest.fixture(scope="module")
def sharded(place: Path, one: Path) -> Path:
    return run(place, "two", *SHARDED)


def weights(folder: Path) -> Any:
    return load_file(folder / "final" / "adapter_model.safetensors")


def assert_same(one: Path, other: Path) -> None:
    """Weights and metrics up to the order of float32 sums."""
    a, b = weights(one), weights(other)
    assert set(a) == set(b)
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < TOLERANCE
    for mine, theirs in zip(metrics(one), metrics(other), strict=True):
        if mine["step"] == 0:  # before the first step rewards are 0 but for rounding: their signs mean nothing
            mine, theirs = ({k: v for k, v in m.items() if "rewards" not in k} for m in (mine, theirs))
        for name in [name for name in mine if name.endswith("rewards/accuracies")]:
            # of 60 pairs; near 0 a margin has either sign
            assert theirs.pop(name) == pytest.approx(mine.pop(name), abs=1 / 60)
        assert theirs == pytest.approx(mine, abs=1e-4)


def test_sharded_weights_end_as_those_of_one_process_and_so_do_all_metrics(one: Path, sharded: Path) -> None:
    assert_same(one, sharded)
    a, b = (json.loads((folder / "results.json").read_text()) for folder in (one, sharded))
    assert {name: system["hit_ratio@1"]["value"] for name, system in b["systems"].items()} == pytest.approx(
        {name: system["hit_ratio@1"]["value"] for name, system in a["systems"].items()}
    )
    assert any("valid_ratio" in metric for metric in b["systems"]["model"])


def test_a_sharded_run_leaves_the_files_of_one_process_and_says_how_it_was_spread(one: Path, sharded: Path) -> None:
    def files(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert files(sharded) == files(one)
    facts = [json.loads((folder / "provenance.json").read_text())["processes"] for folder in (one, sharded)]
    assert facts == [{"count": 1, "sharded": False}, {"count": 2, "sharded": True}]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_final_of_a_sharded_run_loads_in_plain_peft(place: Path, sharded: Path) -> None:
    config = json.loads((sharded / "final" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../base"
    base = AutoModelForCausalLM.from_pretrained(str(sharded / "base"))
    model = PeftModel.from_pretrained(base, str(sharded / "final"))
    assert sum("lora_" in name for name, _ in model.named_parameters()) == len(weights(sharded))


@pytest.mark.slow
def test_a_sharded_run_whose_worker_dies_ends_with_a_message_and_goes_on_however_many_there_are(place: Path) -> None:
    """Checkpoints hold whole tensors: what two processes wrote goes on with two that share weights, and with one."""
    words = ("--plugin", str(place / "dying.py"), "stages.prefer.loss=dying", "stages.prefer.steps=6")
    whole = run(place, "whole", *words)
    said = start(place, "cut", *words, *SHARDED, code=1, DYING="1").stderr
    assert "process 2 of 2 was ended by SIGKILL, so all were stopped" in said
    assert "Traceback" not in said
    (cut,) = (place / "cut").glob("toy-*")
    assert [path.name for path in (cut / "checkpoints").glob("prefer-*")], "it died before it could write a checkpoint"
    alone = Path(shutil.copytree(cut, place / "alone" / cut.name))
    for folder, more in ((cut, SHARDED), (alone, ())):
        done = start(place, folder.parent.name, *words, "--resume", str(folder), *more)
        assert "prefer: going on from step" in done.stderr
        assert_same(whole, folder)
        (continued,) = json.loads((folder / "provenance.json").read_text())["continued"]
        assert continued["processes"] == {"count": 2 if more else 1, "sharded": bool(more)}


def test_one_process_has_nobody_to_share_with(place: Path) -> None:
    said = start(place, "none", "--shard", code=2).stderr
    assert "add --processes 2" in said
    assert not (place / "none").exists()
