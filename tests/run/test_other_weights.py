"""Runs that train all weights, or adapters on a quantised base: they go on after a kill, and say what they are."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.run.toy import command, folder_of, killed, metrics

pytestmark = pytest.mark.slow

#: ways to train: changes of the recipe, and the file of the final weights
WAYS = {
    "all weights, adafactor": (["policy.lora=none", "stages.prefer.optimiser=adafactor"], "model.safetensors"),
    "4 bits, 8-bit adamw": (
        ["policy.quantise=nf4", "policy.lora.dora=true", "stages.prefer.optimiser={use: adamw_8bit, smallest: 64}"],
        "adapter_model.safetensors",
    ),
    "8 bits": (["policy.quantise=int8", "policy.lora.modules_to_save=[lm_head]"], "adapter_model.safetensors"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_goes_on_bit_for_bit_and_is_evaluated(toy: Path, tmp_path: Path, cache: Path, way: str) -> None:
    changes, file = WAYS[way]
    if "bits" in way and find_spec("bitsandbytes") is None:
        pytest.skip("the extra `quant` is not installed")
    own = str(tmp_path / "cache-a")
    shutil.copytree(cache / "tiny_lm", Path(own) / "tiny_lm") if (cache / "tiny_lm").is_dir() else None
    whole = folder_of(command("run", str(toy), *changes, POLO_CACHE=own))
    shutil.rmtree(Path(own) / "stages")
    killed("prefer step 3:", "run", str(toy), "out=cut", *changes, POLO_CACHE=own)
    (folder,) = (tmp_path / "cut").glob("toy-*")
    assert not (folder / "results.json").exists(), "the run ended before it could be killed"
    again = folder_of(command("run", str(toy), "out=cut", *changes, "--resume", str(folder), POLO_CACHE=own))
    assert metrics(again) == metrics(whole)
    a, b = (load_file(f / "final" / file) for f in (whole, again))
    assert a.keys() == b.keys()
    assert all((a[name] == b[name]).all() for name in a)
    results = json.loads((again / "results.json").read_text())
    assert results == json.loads((whole / "results.json").read_text())
    assert 0 <= results["systems"]["model"]["hit_ratio@1"]["value"] <= 1
    told = json.loads((again / "provenance.json").read_text())["policy"]
    assert told["trained"] == ("all weights trained" if "all" in way else "LoRA targets 'all-linear'")
    assert told["quantised"] == {"4": "nf4", "8": "int8"}.get(way[0], "none")
    assert not list((Path(own) / "frozen").iterdir()), "nothing of the reference's copy is left"
