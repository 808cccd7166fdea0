"""What of a model is trained: all weights, or adapters of many kinds; each saves, loads, exports, is told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from polo import InputError
from polo.model.weights import digest, snapshot, under
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.quiet import quiet
from tests.polo_causal_lm.world import TITLES, context, save_base, toy_splits

LORA = LoraOptions(r=4, dropout=0.0)
#: every way to train, by options of the policy
WAYS: dict[str, dict[str, Any]] = {
    "none": {"lora": "none"},
    "lora": {"lora": LORA},
    "dora": {"lora": LoraOptions(r=4, dropout=0.0, dora=True)},
    "rslora": {"lora": LoraOptions(r=4, dropout=0.0, rslora=True)},
    "head": {"lora": LoraOptions(r=4, dropout=0.0, modules_to_save=("lm_head",))},
    "norms": {"lora": LoraOptions(r=4, dropout=0.0, modules_to_save=("input_layernorm", "embed_tokens"))},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama")


def policy(base: Path, tmp_path: Path, said: list[str] | None = None, **options: Any) -> CausalLM:
    made = CausalLM(CausalLMOptions(base=str(base), **options), context(tmp_path, said=said))
    made.module.eval()
    return made


def shake(made: CausalLM, seed: int = 3) -> None:
    """Moves everything that is trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in made.state_dict().values():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)


def items(n: int = 3, rows: int = 8) -> torch.Tensor:
    return torch.arange(rows * n).reshape(rows, n) % len(TITLES)


ROWS = toy_splits().train


@pytest.mark.parametrize("way", WAYS)
def test_what_is_trained_gets_a_gradient_and_nothing_else_does(base: Path, tmp_path: Path, way: str) -> None:
    made = policy(base, tmp_path, **WAYS[way])
    made.score(ROWS, items()).sum().backward()
    names = {name.removeprefix("model.") for name, p in made.module.named_parameters() if p.grad is not None}
    assert names == {name.removeprefix("model.") for name in made.state_dict()}
    if way == "none":
        assert len(names) == 2 * 9 + 3  # of a layer seven matrices and two norms; embedding, last norm, head
    else:
        whole = {"head": 1, "norms": 3}.get(way, 0)  # the head; a norm of each layer and the embedding
        assert len(names) == 2 * 7 * (3 if way == "dora" else 2) + whole


@pytest.mark.parametrize("way", WAYS)
def test_the_engine_agrees_with_the_naive_form_in_scores_and_gradients(base: Path, tmp_path: Path, way: str) -> None:
    found = {}
    for engine in ("naive", "packed", "split"):
        made = policy(base, tmp_path, engine=engine, **WAYS[way])
        shake(made)
        scores = made.score(ROWS, items())
        (scores.square().sum() / 1e3).backward()
        assert made.engine == engine, made.engine_reason
        found[engine] = scores.detach(), {name: p.grad for name, p in made.module.named_parameters() if p.requires_grad}
    scores, gradients = found["naive"]
    for engine in ("packed", "split"):
        torch.testing.assert_close(found[engine][0], scores, rtol=1e-5, atol=1e-4)
        for name, gradient in gradients.items():
            other = found[engine][1][name]
            assert float((other - gradient).norm()) <= 1e-4 * float(gradient.norm()) + 1e-7, name


@pytest.mark.parametrize("way", WAYS)
def test_saved_weights_give_the_same_scores_again_and_an_export_is_a_plain_model(
    base: Path, tmp_path: Path, way: str
) -> None:
    made = policy(base, tmp_path, **WAYS[way])
    shake(made)
    expected = made.score(ROWS, items()).detach()
    saved, exported = tmp_path / "saved", tmp_path / "exported"
    saved.mkdir(), exported.mkdir()
    made.save(saved)
    again = policy(base, tmp_path, **WAYS[way])
    assert not torch.allclose(again.score(ROWS, items()), expected)
    again.load(saved)
    assert torch.equal(again.score(ROWS, items()), expected)
    made.export(exported)
    plain = policy(exported, tmp_path, engine="naive")
    torch.testing.assert_close(plain.score(ROWS, items()).detach(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "none"])
def test_adapters_of_every_kind_load_in_plain_peft(base: Path, tmp_path: Path, way: str) -> None:
    made = policy(base, tmp_path, engine="naive", **WAYS[way])
    shake(made)
    made.save(tmp_path)
    with quiet():
        lm = transformers.AutoModelForCausalLM.from_pretrained(base)
        plain = peft.PeftModel.from_pretrained(lm, str(tmp_path)).eval()
    layout = made.encode(ROWS, items())
    given = {"input_ids": layout.ids, "attention_mask": layout.mask, "position_ids": layout.positions}
    assert torch.equal(plain(**given).logits, made.model(**given).logits)


def test_whole_weights_are_saved_as_a_model_that_transformers_reads(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, engine="naive", lora="none")
    shake(made)
    made.save(tmp_path)
    with quiet():
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    mine = dict(made.model.named_parameters())
    assert all(torch.equal(p, mine[name]) for name, p in plain.named_parameters())
    assert json.loads((tmp_path / "base.json").read_text())["sha256"] == made.base_hash()


def test_a_reference_is_the_weights_of_before_whatever_is_trained(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, lora="none")
    before, frozen, name = made.score(ROWS, items()).detach(), snapshot(made.module), digest(snapshot(made.module))
    shake(made)
    after = made.score(ROWS, items()).detach()
    with under(made.module, frozen):
        assert torch.equal(made.score(ROWS, items()), before)
    assert torch.equal(made.score(ROWS, items()), after)
    assert digest(snapshot(made.module)) != name


def test_every_way_has_a_fingerprint_of_its_own(base: Path, tmp_path: Path) -> None:
    prints = [policy(base, tmp_path, self_check=False, **options).fingerprint() for options in WAYS.values()]
    assert len(set(prints)) == len(WAYS)


def test_all_weights_are_trained_in_float32_unless_a_recipe_says_otherwise(base: Path, tmp_path: Path) -> None:
    from polo_causal_lm.loading import dtype_of

    whole, adapters = CausalLMOptions(base="b", lora="none"), CausalLMOptions(base="b")
    assert dtype_of(whole, "cuda") == torch.float32
    assert dtype_of(adapters, "cuda") == torch.bfloat16
    assert dtype_of(CausalLMOptions(base="b", lora="none", dtype="bfloat16"), "cuda") == torch.bfloat16


def test_a_tied_head_stays_tied(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    with quiet():
        lm = transformers.AutoModelForCausalLM.from_pretrained(base)
        lm.config.tie_word_embeddings, lm.lm_head.weight = True, lm.model.embed_tokens.weight
        lm.save_pretrained(base)
    made = policy(base, tmp_path, lora="none")
    assert len(made.state_dict()) == 2 * 9 + 2
    shake(made)
    expected = made.score(ROWS, items()).detach()
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    again = policy(base, tmp_path, lora="none")
    again.load(tmp_path / "saved")
    assert torch.equal(again.score(ROWS, items()), expected)


# bad input


def test_adapters_are_no_whole_model_and_a_whole_model_is_no_adapter(base: Path, tmp_path: Path) -> None:
    whole, adapters = policy(base, tmp_path, lora="none"), policy(base, tmp_path, lora=LORA)
    for made, name in ((whole, "whole"), (adapters, "adapters")):
        (tmp_path / name).mkdir()
        made.save(tmp_path / name)
    with pytest.raises(InputError, match="holds no whole model, and all weights are trained here"):
        whole.load(tmp_path / "adapters")
    with pytest.raises(InputError, match=r"has no adapter_model\.safetensors"):
        adapters.load(tmp_path / "whole")


def test_a_whole_model_of_another_shape_or_base_or_damaged_is_refused(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, lora="none")
    before = digest(snapshot(made.module))
    other = save_base(tmp_path / "other", "qwen2")
    with pytest.raises(InputError, match=r"holds another model \(6 weights differ"):  # biases of q, k, v
        made.load(other)
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    (tmp_path / "saved" / "base.json").write_text('{"sha256": "0"}')
    with pytest.raises(InputError, match="were trained on another base model"):
        made.load(tmp_path / "saved")
    (tmp_path / "saved" / "base.json").unlink()
    (tmp_path / "saved" / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        made.load(tmp_path / "saved")
    assert digest(snapshot(made.module)) == before, "a refused folder changes nothing"


def test_rslora_scales_by_the_root_of_the_rank_and_other_scales_are_refused(base: Path, tmp_path: Path) -> None:
    """alpha 32, r 4: 32 / 2 = 16, where LoRA has 32 / 4 = 8."""
    made = policy(base, tmp_path, **WAYS["rslora"])
    made.save(tmp_path)
    with pytest.raises(InputError, match="scales its adapters by 16, the policy by 8"):
        policy(base, tmp_path, lora=LORA).load(tmp_path)


def test_modules_to_save_that_match_nothing_are_refused_by_name(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="modules_to_save name nothing in the base: lm_haed"):
        policy(base, tmp_path, lora=LoraOptions(modules_to_save=("lm_haed",)))
