"""Bases that bring code of their own: not run and not asked about; run where the recipe trusts it, and said."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from polo import InputError
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.policy import CausalLM
from tests.polo_causal_lm.world import TITLES, context, save_base, toy_splits

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM
Path(__file__).with_name("ran").touch()
Path({mark!r}).touch()

class OwnConfig(LlamaConfig):
    model_type = "polo_own_test"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base whose model is code beside it, which leaves a mark when it runs; nobody answers questions."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))

    def ask(*_: Any) -> str:
        raise AssertionError("asked on the terminal")

    monkeypatch.setattr(builtins, "input", ask)
    base = save_base(tmp_path / "own")
    config = json.loads((base / "config.json").read_text())
    config |= {
        "model_type": "polo_own_test",
        "architectures": ["OwnForCausalLM"],
        "auto_map": {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
    }
    (base / "config.json").write_text(json.dumps(config))
    (base / "modeling_own.py").write_text(CODE.format(mark=str(tmp_path / "ran")))
    return base


def policy(base: Path, tmp_path: Path, said: list[str] | None = None, **options: Any) -> CausalLM:
    made = CausalLM(CausalLMOptions(base=str(base), **options), context(tmp_path / "cache", said=said))
    made.module.eval()
    return made


def items(n: int = 3, rows: int = 8) -> torch.Tensor:
    return torch.arange(rows * n).reshape(rows, n) % len(TITLES)


def test_code_of_a_base_is_refused_without_asking_and_not_run(own: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model of .* is code that comes with it, which is not run") as raised:
        policy(own, tmp_path)
    assert "policy.trust_remote_code=true" in raised.value.fix
    assert not (tmp_path / "ran").exists()


def test_trusted_code_runs_is_said_and_is_part_of_what_the_policy_is(own: Path, tmp_path: Path) -> None:
    said: list[str] = []
    made = policy(own, tmp_path, said, trust_remote_code=True)
    assert (tmp_path / "ran").exists()
    assert any("warning: the model of" in line and "trust_remote_code: true" in line for line in said)
    assert type(made.model.get_base_model()).__name__ == "OwnForCausalLM"
    assert dict(made.facts())["code_of_its_own"] == ["model"]
    rows = toy_splits().train
    plain = save_base(tmp_path / "plain")  # the same weights, as the Llama that they are
    expected = policy(plain, tmp_path, engine="naive").score(rows, items())
    torch.testing.assert_close(made.score(rows, items()), expected, rtol=1e-5, atol=1e-5)
    # other code is another base
    before = made.base_hash()
    (own / "modeling_own.py").write_text((own / "modeling_own.py").read_text() + "\n# changed\n")
    assert policy(own, tmp_path, trust_remote_code=True).base_hash() != before


def test_a_trusted_base_is_saved_and_loaded_whole(own: Path, tmp_path: Path) -> None:
    made = policy(own, tmp_path, trust_remote_code=True, lora="none")
    with torch.no_grad():
        for p in made.state_dict().values():
            p.mul_(1.1)
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    again = policy(own, tmp_path, trust_remote_code=True, lora="none")
    again.load(tmp_path / "saved")
    rows = toy_splits().train
    assert torch.equal(again.score(rows, items()), made.score(rows, items()))


def test_a_base_that_transformers_has_too_loads_without_its_own_code(own: Path, tmp_path: Path) -> None:
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    made = policy(own, tmp_path)
    assert type(made.model.get_base_model()).__name__ == "LlamaForCausalLM"
    assert not (tmp_path / "ran").exists()
    assert dict(made.facts())["code_of_its_own"] == []


def test_a_tokenizer_with_code_of_its_own_does_not_run_either(own: Path, tmp_path: Path) -> None:
    config = json.loads((own / "config.json").read_text())
    config = {key: value for key, value in config.items() if key != "auto_map"} | {"model_type": "llama"}
    (own / "config.json").write_text(json.dumps(config))
    said = json.loads((own / "tokenizer_config.json").read_text())
    said |= {"auto_map": {"AutoTokenizer": ["modeling_own.OwnTokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
    (own / "tokenizer_config.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="custom code which must be executed") as raised:
        policy(own, tmp_path)
    assert "policy.trust_remote_code=true" in raised.value.fix
    assert not (tmp_path / "ran").exists()
