"""A base that is read in parts has the weights of one that is read whole, and no process holds all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from polo.model.sharding import spread
from polo_causal_lm.hollow import Hollow, why_whole
from polo_causal_lm.loading import load_model
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.weights import trained
from tests.processes import together

#: rows of weights that three processes cannot share evenly, one weight with fewer rows than processes
SIZES = {"hidden_size": 16, "intermediate_size": 22, "num_hidden_layers": 2, "vocab_size": 31,
         "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2}  # fmt: skip


def write(folder: Path, *, tied: bool, **other: Any) -> Path:
    torch.manual_seed(3)
    config = LlamaConfig(**{**SIZES, **other}, tie_word_embeddings=tied)
    LlamaForCausalLM(config).save_pretrained(str(folder), max_shard_size="4KB")
    GenerationConfig(max_new_tokens=7).save_pretrained(str(folder))
    return folder


def options(folder: Path, lora: str) -> CausalLMOptions:
    return CausalLMOptions(base=str(folder), lora="none" if lora == "none" else LoraOptions(r=2))


def read_in_parts(accelerator: Accelerator, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tied in (False, True):
        for lora in ("none", "adapters"):
            base = folder / f"tied-{tied}"
            hollow = Hollow(base, torch.float32, None)
            assert sum(p.untyped_storage().nbytes() for p in hollow.lm.parameters()) < 4 * len(SIZES) * 10
            model = trained(options(base, lora), hollow.lm, hollow.lm, None, seed=5).model
            hollow.settle(model)
            module = spread(model, accelerator, shard=True)
            hollow.fill()
            own = {name: p.to_local().numel() for name, p in module.named_parameters()}
            whole = {name: p.full_tensor() for name, p in module.named_parameters()}
            ids = torch.arange(5)[None]
            found[f"{tied}-{lora}"] = {
                "own": own,
                "weights": {name: value.detach() for name, value in whole.items()},
                "trained": [name for name, p in module.named_parameters() if p.requires_grad],
                "logits": module(input_ids=ids).logits.detach(),
                "generation": hollow.lm.generation_config.max_new_tokens,
            }
    return found


@pytest.mark.parametrize("world", [2, 3])
def test_law_parts_make_up_the_weights_of_a_base_that_is_read_whole(tmp_path: Path, world: int) -> None:
    for tied in (False, True):
        write(tmp_path / f"tied-{tied}", tied=tied)
    found = together(read_in_parts, tmp_path, world)
    for tied in (False, True):
        for lora in ("none", "adapters"):
            base = tmp_path / f"tied-{tied}"
            lm = load_model(str(base), torch.float32)
            model = trained(options(base, lora), lm, lm, "cpu", seed=5).model
            logits = model(input_ids=torch.arange(5)[None]).logits
            weights = dict(model.named_parameters())
            for one in (process[f"{tied}-{lora}"] for process in found):
                assert list(one["weights"]) == list(weights)
                assert all(torch.equal(one["weights"][name], p) for name, p in weights.items())
                assert one["trained"] == [name for name, p in weights.items() if p.requires_grad]
                torch.testing.assert_close(one["logits"], logits)
                assert one["generation"] == 7
            for name, p in weights.items():
                assert sum(process[f"{tied}-{lora}"]["own"][name] for process in found) == p.numel()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"lora": LoraOptions(dora=True)}, "its adapters are made of its weights"),
        ({"lora": LoraOptions(modules_to_save=("lm_head",))}, "its adapters are made of its weights"),
        ({"quantise": "nf4"}, "it is quantised"),
        ({"compile": True}, "its layers are compiled"),
        ({"trust_remote_code": True}, "its code is its own"),
        ({}, ""),
    ],
)
def test_what_cannot_be_read_in_parts_is_named(tmp_path: Path, told: dict[str, Any], why: str) -> None:
    base = write(tmp_path / "base", tied=True)
    assert why_whole(CausalLMOptions(base=str(base), **told), base) == why


def test_files_of_another_shape_are_read_whole_by_who_knows_them(tmp_path: Path) -> None:
    base, other = write(tmp_path / "base", tied=False), write(tmp_path / "other", tied=False, vocab_size=40)
    (other / "config.json").replace(base / "config.json")
    assert why_whole(CausalLMOptions(base=str(base)), base) == (
        "its files hold no model.embed_tokens.weight of shape [40, 16]"
    )
