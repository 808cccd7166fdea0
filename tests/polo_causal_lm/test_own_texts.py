"""Prompts and answers that belong to their rows: their tokens, their lengths, and every engine's scores of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polo import InputError, Splits
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.own_texts import RowTexts
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.quiet import quiet
from polo_causal_lm.tiny.tokenizer import train_tokenizer_of_texts
from tests.pairs import conversation_rows, splits_of, text_rows
from tests.polo_causal_lm.world import VOCAB, context, random_lm


def tokenizer_of(splits: Splits) -> Any:
    assert splits.own is not None
    return train_tokenizer_of_texts([*splits.own.prompts, *splits.own.answers], VOCAB)


def policy_of(folder: Path, splits: Splits, **options: Any) -> CausalLM:
    """The policy on a random base whose tokenizer was made for the texts."""
    base = folder / "base"
    if not base.is_dir():
        base.mkdir()
        with quiet():
            random_lm("llama", torch.float32).save_pretrained(base)
        tokenizer_of(splits).save_pretrained(base)
    made = CausalLMOptions(base=str(base), lora=LoraOptions(dropout=0.0), **{"max_tokens": 256, **options})
    return CausalLM(made, context(folder, splits))


@pytest.fixture(params=[text_rows, conversation_rows], ids=["text", "conversation"])
def splits(request: pytest.FixtureRequest, tmp_path: Path) -> Splits:
    return splits_of(tmp_path, request.param(30, rejected=3))


def test_prompt_and_answer_spell_the_whole_row_and_end_in_the_end_mark(splits: Splits) -> None:
    tokenizer = tokenizer_of(splits)
    texts, rows, own = RowTexts(tokenizer, splits), splits.train, splits.own
    assert own is not None
    assert rows.candidates is not None
    for i, prompt in enumerate(texts.prompts(rows)):
        for item in rows.candidates[i][rows.candidates[i] >= 0].tolist():
            whole = tokenizer.decode([*prompt, *texts.titles[item]])
            said, answer = own.prompts[rows.user[i]], own.answers[item]
            if isinstance(said, str):
                assert whole == f"<s>{said}{answer}</s>"
            else:
                assert whole == tokenizer.apply_chat_template([*said, *answer], tokenize=False)
                assert tokenizer.decode(prompt).endswith("</s><|assistant|>"), "where an answer begins"
            assert texts.titles[item][-1] == tokenizer.eos_token_id
            assert texts.title_lengths[item] == len(texts.titles[item])


def test_an_end_mark_of_its_own_is_not_doubled_and_an_answer_merges_into_no_prompt(tmp_path: Path) -> None:
    rows = [{"prompt": f"go{i}", "chosen": "ing</s>", "rejected": "ne"} for i in range(12)]
    rows[0] = {"prompt": "go", "chosen": "ing", "rejected": "ne"}
    made = splits_of(tmp_path, rows, held_out=0.0)
    tokenizer = train_tokenizer_of_texts(["going", "going", "gone"], VOCAB)
    texts = RowTexts(tokenizer, made)
    assert [tokenizer.decode(texts.titles[i]) for i in (2, 3)] == ["ing</s>", "ne</s>"]
    # "going" is one token, "go" another: the prompt keeps what all its answers go on from, the answer has the rest
    prompt = texts.prompts(made.train[:1])[0].tolist()
    assert tokenizer("going")["input_ids"] == [*prompt, *texts.titles[0][:-1].tolist()]
    assert tokenizer("gone")["input_ids"] == [*prompt, *texts.titles[1][:-1].tolist()]
    assert tokenizer.decode(prompt) != "<s>go"


@pytest.mark.parametrize("engine", ["packed", "split"])
def test_engines_score_a_rows_answers_as_the_naive_form_does(splits: Splits, tmp_path: Path, engine: str) -> None:
    rows = splits.train[:6]
    items = torch.from_numpy(rows.listed)
    found = policy_of(tmp_path, splits, engine=engine)
    naive = policy_of(tmp_path, splits, engine="naive")
    assert torch.allclose(found.score(rows, items), naive.score(rows, items), atol=2e-5)
    assert torch.equal(found.tokens(items), torch.tensor([[len(found.texts.titles[i]) for i in r] for r in items]))
    assert (found.pool, found.reads_own_texts) == ("candidates", True)
    cost = found.encode(rows, items).ids.numel()
    short = rows[np.flatnonzero((rows.candidates == -1).sum(axis=1) == 0)]  # type: ignore[union-attr]
    assert abs(int(found.cost(short, 4).sum()) - found.encode(short, torch.from_numpy(short.listed)).ids.numel()) <= 6
    assert cost < naive.encode(rows, items).ids.numel()


def test_keys_tell_prompts_and_answers_apart(splits: Splits, tmp_path: Path) -> None:
    policy = policy_of(tmp_path, splits)
    rows = splits.train
    assert len(set(policy.keys(rows, torch.from_numpy(rows.listed)))) == len(rows)


def test_overlong_rows_are_dropped_or_lose_the_beginning_of_their_prompt_never_of_an_answer(tmp_path: Path) -> None:
    rows = text_rows(30)
    rows[3]["prompt"] = "and again " * 40 + rows[3]["prompt"]
    rows[5]["rejected"] = "no " * 120
    made = splits_of(tmp_path, rows, held_out=0.0)
    dropping = policy_of(tmp_path, made, max_tokens=100)
    assert np.flatnonzero(~dropping.fits(made.train)).tolist() == [3, 5]
    said: list[str] = []
    cutting = CausalLM(
        CausalLMOptions(base=str(tmp_path / "base"), max_tokens=100, overlong="cut_left"),
        context(tmp_path, made, said=said),
    )
    assert np.flatnonzero(~cutting.fits(made.train)).tolist() == [5], "an answer that is too long alone stays as it is"
    assert said == ["1 prompts are cut from the left to 100 tokens with answer"]
    whole, cut = (one.texts.prompts(made.train[3:4])[0].tolist() for one in (dropping, cutting))
    assert len(cut) + int(cutting.texts.longest(made.train[3:4])[0]) == 100
    assert (cut[0], cut[1:]) == (whole[0], whole[len(whole) - len(cut) + 1 :]), "the begin mark stays"
    assert cutting.fingerprint() != dropping.fingerprint()


def test_what_a_base_lacks_is_said(tmp_path: Path) -> None:
    chats = splits_of(tmp_path, conversation_rows(12))
    tokenizer = tokenizer_of(chats)
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        RowTexts(tokenizer, chats)
    tokenizer.chat_template = "{{ raise_exception('roles must take turns') }}"
    with pytest.raises(InputError, match="refuses a conversation: roles must take turns"):
        RowTexts(tokenizer, chats)


def test_prompts_over_a_catalogue_are_never_cut(tmp_path: Path) -> None:
    from tests.polo_causal_lm.world import save_base

    with pytest.raises(InputError, match="never cut"):
        CausalLM(CausalLMOptions(base=str(save_base(tmp_path / "base")), overlong="cut_left"), context(tmp_path))
