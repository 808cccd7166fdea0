"""``precision: bf16`` on a CPU: float32 weights, matrix products in bfloat16, for policy and reference alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.run.toy import command, folder_of, killed, metrics


@pytest.mark.slow
def test_a_run_in_bfloat16_is_near_to_float32_and_goes_on_bit_for_bit(toy: Path, tmp_path: Path) -> None:
    """The reference is the policy under other weights: before the first step of ``prefer`` all rewards are 0."""
    own = str(tmp_path / "own")
    exact = metrics(folder_of(command("run", str(toy), "out=exact", POLO_CACHE=own)))
    whole = folder_of(command("run", str(toy), "out=whole", "precision=bf16", POLO_CACHE=own))
    weights = load_file(whole / "final" / "adapter_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    found = metrics(whole)
    assert found != exact
    for mine, theirs in zip(found, exact, strict=True):
        assert {k: mine[k] for k in ("loss", "logps/chosen") if k in mine} == pytest.approx(
            {k: theirs[k] for k in ("loss", "logps/chosen") if k in theirs}, abs=0.1
        )
    shutil.rmtree(Path(own) / "stages")
    shutil.rmtree(Path(own) / "reference")
    killed("prefer step 3:", "run", str(toy), "out=cut", "precision=bf16", POLO_CACHE=own)
    (folder,) = (tmp_path / "cut").glob("toy-*")
    assert not (folder / "results.json").exists(), "the run ended before it could be killed"
    words = ["run", str(toy), "out=cut", "precision=bf16", "--resume", str(folder)]
    assert folder_of(command(*words, POLO_CACHE=own)) == folder
    assert metrics(folder) == found
    again = load_file(folder / "final" / "adapter_model.safetensors")
    assert all((again[name] == weights[name]).all() for name in weights)
    assert json.loads((folder / "results.json").read_text()) == json.loads((whole / "results.json").read_text())
