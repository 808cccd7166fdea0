"""A base that somebody else made may bring code, or name some: none of it is run, fetched or asked about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from polo import InputError
from polo_causal_lm.loading import check_folder, load_model, load_tokenizer
from tests.polo_causal_lm.world import save_base


def changed(folder: Path, file: str = "config.json", **values: Any) -> Path:
    """A base whose config says something else."""
    path = save_base(folder) / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def test_code_that_comes_with_a_base_is_neither_run_nor_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "executed"
    own = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}
    folder = changed(tmp_path / "base", model_type="mine", auto_map=own)
    (folder / "mine.py").write_text(f"open({str(trace)!r}, 'w')")

    def asked(*words: object) -> str:
        raise AssertionError("asked on the terminal")

    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(InputError, match="code"):
        load_model(str(folder), torch.float32)
    tokenizer = changed(tmp_path / "other", "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.T", None]})
    (tokenizer / "mine.py").write_text(f"open({str(trace)!r}, 'w')")
    load_tokenizer(str(tokenizer))
    assert not trace.exists()


@pytest.mark.parametrize("option", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_kernel_that_a_config_names_is_refused(tmp_path: Path, option: str) -> None:
    """transformers would fetch it from the hub and execute it where `kernels` is installed."""
    folder = changed(tmp_path / "base", **{option: "somebody/kernel"})
    with pytest.raises(InputError, match=r"asks for code of its own \(somebody/kernel\), which is never run"):
        load_model(str(folder), torch.float32)


def test_an_adapter_is_no_base(tmp_path: Path) -> None:
    """transformers would load whatever model the adapter names, under the hash of this folder."""
    folder = save_base(tmp_path / "base")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "somebody/else"}))
    with pytest.raises(InputError, match="is an adapter"):
        check_folder(folder)
