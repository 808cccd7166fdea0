"""Frozen weights in 4 and 8 bits, by the real bitsandbytes: scores are those of the dequantised model, in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from polo import InputError
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.quantised import dequantised, how_to_load
from polo_causal_lm.quiet import quiet
from tests.polo_causal_lm.world import TITLES, context, save_base, toy_splits

pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")

KINDS = ("nf4", "int8")
ROWS = toy_splits().train


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama")


def policy(base: Path, tmp_path: Path, said: list[str] | None = None, **options: Any) -> CausalLM:
    given = {"lora": LoraOptions(r=4, dropout=0.0), **options}
    made = CausalLM(CausalLMOptions(base=str(base), **given), context(tmp_path, said=said))
    made.module.eval()
    return made


def shake(made: CausalLM) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in made.state_dict().values():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.1)


def items(n: int = 3, rows: int = 8) -> torch.Tensor:
    return torch.arange(rows * n).reshape(rows, n) % len(TITLES)


def plain_copy(made: CausalLM, base: Path) -> Any:
    """The base with dequantised weights, and the policy's adapters on it, by peft alone."""
    with quiet():
        lm = transformers.AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for name, value in dequantised(causal_lm(made.model)).items():
            lm.get_parameter(name).copy_(value)
    with quiet():
        model = peft.get_peft_model(lm, made.model.peft_config["default"])
        peft.set_peft_model_state_dict(model, peft.get_peft_model_state_dict(made.model, save_embedding_layers=False))
    return model.eval()


def logps(model: Any, made: CausalLM) -> torch.Tensor:
    """By the naive form: log-softmax of the model's logits at each title's tokens."""
    rows = made.texts.encode(ROWS, items().numpy())
    found = []
    for prompt, titles in zip(rows.prompts, rows.titles, strict=True):
        for title in titles:
            ids = torch.from_numpy(np.concatenate([prompt, title]))[None]
            out = model(input_ids=ids).logits[0].log_softmax(-1)[len(prompt) - 1 : -1]
            found.append(out.gather(1, ids[0, len(prompt) :, None]).sum())
    return torch.stack(found).reshape(len(rows), -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["naive", "packed", "split"])
def test_scores_are_those_of_the_dequantised_model(base: Path, tmp_path: Path, kind: str, engine: str) -> None:
    said: list[str] = []
    made = policy(base, tmp_path, said, quantise=kind, engine=engine)
    assert (made.engine, said) == (engine, []), "the self-check has found nothing"
    shake(made)
    expected = logps(plain_copy(made, base), made)
    for training in (False, True):
        made.module.train(training)
        torch.testing.assert_close(made.score(ROWS, items()), expected, rtol=1e-3, atol=0)
    # and that is another model than the base: seven matrices of each layer have lost bits
    exact = policy(base, tmp_path, engine="naive")
    exact.load_state_dict(made.state_dict())
    assert not torch.allclose(exact.score(ROWS, items()), expected, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_dequantised_model(base: Path, tmp_path: Path, kind: str) -> None:
    made = policy(base, tmp_path, quantise=kind)
    shake(made)
    plain = plain_copy(made, base)
    made.module.train()
    (made.score(ROWS, items()) / 1e3).square().sum().backward()
    for p in plain.parameters():
        p.grad = None
    (logps(plain, made) / 1e3).square().sum().backward()
    mine = [p.grad for p in made.model.parameters() if p.requires_grad]
    theirs = [p.grad for p in plain.parameters() if p.requires_grad]
    assert len(mine) == len(theirs) == 28
    for a, b in zip(mine, theirs, strict=True):
        assert float((a - b).norm()) <= 1e-3 * float(b.norm())


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_does_not_depend_on_the_rows_beside_it(base: Path, tmp_path: Path, kind: str) -> None:
    made = policy(base, tmp_path, quantise=kind)
    shake(made)
    together = made.score(ROWS, items())
    alone = torch.cat([made.score(ROWS[[i]], items()[i : i + 1]) for i in range(len(ROWS))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_leaves_the_weights_as_they_are(base: Path, tmp_path: Path, kind: str) -> None:
    made = policy(base, tmp_path, quantise=kind)
    before = {name: value.clone() for name, value in dequantised(causal_lm(made.model)).items()}
    with torch.no_grad():
        made.module.eval()
        made.score(ROWS, items())
        made.generate(ROWS[[0]], max_new_tokens=3)
    after = dequantised(causal_lm(made.model))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_takes_the_bits_it_is_said_to_take(base: Path, tmp_path: Path, kind: str) -> None:
    made = policy(base, tmp_path, quantise=kind)
    weight = made.model.get_base_model().model.layers[0].mlp.gate_proj.base_layer.weight
    assert weight.numel() * weight.element_size() == 32 * 48 * {"nf4": 4, "int8": 8}[kind] // 8
    assert not any(p.requires_grad for name, p in made.module.named_parameters() if "lora_" not in name)


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_save_load_and_stand_in_plain_peft_on_the_quantised_base(
    base: Path, tmp_path: Path, kind: str
) -> None:
    made = policy(base, tmp_path, quantise=kind, engine="naive")
    shake(made)
    expected = made.score(ROWS, items())
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    again = policy(base, tmp_path, quantise=kind, engine="naive")
    again.load(tmp_path / "saved")
    assert torch.equal(again.score(ROWS, items()), expected)
    with quiet():
        lm = transformers.AutoModelForCausalLM.from_pretrained(
            base, quantization_config=how_to_load(kind, torch.float32), dtype=torch.float32
        )
        plain = peft.PeftModel.from_pretrained(lm, str(tmp_path / "saved"))
    # in training mode bitsandbytes multiplies with dequantised weights on a CPU too; there is no dropout
    torch.testing.assert_close(logps(plain.train(), made).detach(), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_a_plain_model_that_scores_alike(base: Path, tmp_path: Path, kind: str) -> None:
    made = policy(base, tmp_path, quantise=kind)
    shake(made)
    (tmp_path / "exported").mkdir()
    made.export(tmp_path / "exported")
    with quiet():
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "exported").eval()
    torch.testing.assert_close(logps(plain, made), made.score(ROWS, items()), rtol=1e-3, atol=0)


def test_dora_stands_on_a_quantised_base(base: Path, tmp_path: Path) -> None:
    made = policy(base, tmp_path, quantise="nf4", lora=LoraOptions(r=4, dropout=0.0, dora=True))
    assert made.engine == "split"
    torch.testing.assert_close(made.score(ROWS, items()), logps(plain_copy(made, base), made), rtol=1e-3, atol=0)


def test_what_is_quantised_is_part_of_the_fingerprint(base: Path, tmp_path: Path) -> None:
    prints = {policy(base, tmp_path, quantise=kind).fingerprint() for kind in ("none", *KINDS)}
    assert len(prints) == 3


def test_quantised_weights_cannot_be_trained_and_float64_is_refused() -> None:
    with pytest.raises(InputError, match="quantised weights cannot be trained"):
        CausalLMOptions(base="b", quantise="nf4", lora="none")
    with pytest.raises(InputError, match="float32 or bfloat16"):
        CausalLMOptions(base="b", quantise="int8", dtype="float64")


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polo_causal_lm.quantised.find_spec", lambda name: None)
    with pytest.raises(InputError, match="need bitsandbytes, which is not installed") as raised:
        how_to_load("nf4", torch.float32)
    assert "polo-rec[quant]" in raised.value.fix
