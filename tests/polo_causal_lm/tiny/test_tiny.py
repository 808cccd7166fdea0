"""The small base model: tokenizer, windows, training, cache."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Choice, InputError, Rows, Sequences
from polo.run.prepare import latest
from polo_causal_lm.options import CausalLMOptions, TinyLMOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.template import Template
from polo_causal_lm.tiny.base import TinyLM
from polo_causal_lm.tiny.tokenizer import train_tokenizer
from polo_causal_lm.tiny.train import make_model, train
from polo_causal_lm.tiny.windows import NO_LABEL, Titles, Words, batches, earlier, windows
from tests.polo_causal_lm.world import TITLES, context, toy_splits

SMALL = TinyLMOptions(hidden=32, layers=1, heads=2, vocab=340, epochs=2, batch_tokens=256, window=6)

LISTS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=25), min_size=1, max_size=5)


@given(LISTS, st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=50)
def test_windows_without_omission_are_the_sequences_cut(lists: list[list[int]], longest: int, seed: int) -> None:
    sequences = Sequences.of(list(range(len(lists))), lists)
    cut = list(windows(sequences, longest, 0.0, np.random.default_rng(seed)))
    assert [int(x) for w in cut for x in w] == [x for one in lists for x in one]
    assert all(1 <= len(w) <= longest for w in cut)


@given(LISTS, st.integers(0, 99))
@settings(max_examples=30)
def test_batches_hold_every_document_once_within_the_budget(lists: list[list[int]], seed: int) -> None:
    documents = [(np.array(x) + 1, np.array(x)) for x in lists]
    found = []
    for ids, labels in batches(documents, 30, 0, np.random.default_rng(seed)):
        assert ids.size <= 30 or len(ids) == 1
        for row, label in zip(ids, labels, strict=True):
            kept = row[row != 0].tolist()
            assert (label[: len(kept)] == np.array(kept) - 1).all()
            assert (label[len(kept) :] == NO_LABEL).all()
            found.append(kept)
    assert sorted(found) == sorted((np.array(x) + 1).tolist() for x in lists)


def test_a_document_trains_each_title_as_a_completion() -> None:
    """prefix [1, 4], bullet [5, 6], titles [7] and [8, 9], end 2: labels are a title's tokens, then the end."""
    words = Words(np.array([1, 4]), np.array([5, 6]), [np.array([7]), np.array([8, 9])], end=2)
    ids, labels = words.document(np.array([1, 0]))
    no = NO_LABEL
    assert ids.tolist() == [1, 4, 5, 6, 8, 9, 5, 6, 7]
    assert labels.tolist() == [no, no, no, 8, 9, 2, no, 7, 2]


def test_popular_titles_become_one_token_and_any_text_is_encoded() -> None:
    counts = np.ones(len(TITLES), dtype=np.int64)
    counts[[0, 3]] = 50
    tokenizer = train_tokenizer(TITLES, counts, Template(), 320)
    assert [len(tokenizer(f" {TITLES[i]}", add_special_tokens=False)["input_ids"]) for i in (0, 3)] == [1, 1]
    strange = " 雪 \U0001f3b5 \x07 \n- ok"
    assert tokenizer.decode(tokenizer(strange, add_special_tokens=False)["input_ids"]) == strange


def test_titles_that_occur_often_leave_room_for_pieces_of_the_others() -> None:
    """200 titles of six words out of ten, all often: whole ones alone would fill the vocabulary, the rest be bytes."""
    words = ["Anti", "Aging", "Vitamin", "Serum", "Cream", "Gentle", "Organic", "Beauty", "Collagen", "Booster"]
    titles = [" ".join(words[i * (j + 3) // 7 % 10] for j in range(6)) + f" {i}" for i in range(200)]
    counts = np.arange(10, 210)
    tokenizer = train_tokenizer(titles, counts, Template(), 420)
    lengths = [len(tokenizer(f" {title}", add_special_tokens=False)["input_ids"]) for title in titles]
    assert lengths.count(1) >= 50
    assert max(lengths) < 25  # bytes: 50


def build(cache: Path, options: TinyLMOptions = SMALL, seed: int = 0, **more: Any) -> TinyLM:
    return TinyLM(options, context(cache, seed=seed, **more))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_training_lowers_the_loss_and_learns_the_order() -> None:
    """Item i is followed by item i + 1 in the toy world: after some epochs far below log(10) nats a title."""
    splits = toy_splits()
    options = TinyLMOptions(
        hidden=32, layers=2, heads=2, vocab=400, epochs=60, batch_tokens=128, dropout=0.0, skip=0.0, lr=5e-3
    )
    tokenizer = train_tokenizer(TITLES, np.ones(len(TITLES), dtype=np.int64), Template(), options.vocab)
    titles = [np.array(tokenizer(f" {t}", add_special_tokens=False)["input_ids"]) for t in TITLES]
    bullet = np.array(tokenizer("\n-", add_special_tokens=False)["input_ids"])
    words = Words(np.array(tokenizer(Template().header)["input_ids"]), bullet, titles, 2)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make_model(options, len(tokenizer), (1, 2, 0), 256)
        train(
            model,
            Titles(words, splits.sequences, options.window, options.skip),
            options,
            seed=0,
            device="cpu",
            pad=0,
            track=lambda it, total=None, label="": it,
            after_epoch=lambda epoch, loss: losses.append(loss),
        )
    assert losses[-1] < 0.6 < 2 < losses[0]


def test_the_second_build_is_read_from_the_cache(tmp_path: Path) -> None:
    first = build(tmp_path).path()
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    said: list[str] = []
    assert build(tmp_path, said=said).path() == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert said == []


def test_the_same_seed_gives_the_same_weights_and_the_callers_randomness_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a = build(tmp_path / "a").path()
    assert torch.equal(torch.rand(1), expected)
    b = build(tmp_path / "b").path()
    c = build(tmp_path / "c", seed=1).path()
    assert weights(a) == weights(b) != weights(c)


def test_a_failed_build_leaves_nothing_that_looks_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polo_causal_lm.tiny import base

    def fail(*args: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(base, "train", fail)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path).path()
    assert list((tmp_path / "tiny_lm").iterdir()) == []
    assert (build(tmp_path).path() / "model.safetensors").is_file()


def test_the_fingerprint_names_all_that_determines_the_model(tmp_path: Path) -> None:
    own = build(tmp_path).fingerprint()
    assert own == build(tmp_path / "elsewhere").fingerprint()
    other_words = build(tmp_path)
    other_words.prepare(Template(header="Played:"))
    others = {
        build(tmp_path, TinyLMOptions(hidden=32, layers=1, heads=2, vocab=340, epochs=3)).fingerprint(),
        build(tmp_path, seed=1).fingerprint(),
        build(tmp_path, splits=toy_splits("other")).fingerprint(),
        other_words.fingerprint(),
    }
    assert len(others) == 4
    assert own not in others


def test_the_policy_tells_the_base_its_words_and_scores_on_it(tmp_path: Path) -> None:
    options = CausalLMOptions(base=Choice("base", "tiny_lm", SMALL))
    made = CausalLM(options, context(tmp_path))
    made.module.eval()
    assert made.engine == "split"
    rows = toy_splits().test
    scores = made.score(rows, torch.arange(len(TITLES)).expand(len(rows), -1))
    assert torch.isfinite(scores).all()
    # every line of the prompt but the titles is one token: begin mark, header, then bullets
    prompt = made.texts.prompts(rows)[0].tolist()
    bullet = prompt[-1]
    assert prompt.index(bullet) == 2


def test_unusable_options_and_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="multiple"):
        build(tmp_path, TinyLMOptions(hidden=30, heads=4))
    splits = toy_splits()
    none = type(splits)(**{**vars(splits), "sequences": Sequences.of([], []), "fingerprint": "none"})
    with pytest.raises(InputError, match="sequences"):
        build(tmp_path, splits=none).path()


@given(LISTS, st.floats(0.01, 0.9), st.integers(0, 3))
@settings(max_examples=50)
def test_law_a_stage_on_the_latest_share_of_rows_has_no_target_that_a_base_holding_it_back_has_read(
    lists: list[list[int]], share: float, first: int
) -> None:
    """Rows of a user have the items after the ``first`` as targets; item numbers are made unique to tell them apart."""
    unique = [[100 * s + i for i in range(len(one))] for s, one in enumerate(lists)]
    sequences = Sequences.of(list(range(len(unique))), unique)
    pairs = np.array([(s, i) for s, one in enumerate(unique) for i in one[first:]], np.int64).reshape(-1, 2)
    user, target = pairs.T
    rows = Rows(id=np.arange(len(user)), user=user, history=np.zeros((len(user), 1), np.int64), target=target)
    read = set(earlier(sequences, share).items.tolist())
    assert not read & set(latest(rows, share).target.tolist())
    assert len(read) == sum(len(one) - math.ceil(share * len(one)) for one in unique)


def test_a_base_that_holds_rows_back_says_so_and_is_another(tmp_path: Path) -> None:
    said: list[str] = []
    held = build(tmp_path, replace(SMALL, hold=0.5), said=said)
    items = toy_splits().sequences
    kept = sum(len(items[s]) // 2 for s in range(len(items)))
    assert weights(held.path()) != weights(build(tmp_path).path())
    assert f" {kept:,} training titles" in said[0]
