"""TRL's own preparation of preference data as the judge: the same files, the same base, the same tokens."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polo import Splits
from polo_causal_lm.own_texts import RowTexts
from polo_causal_lm.tiny.tokenizer import train_tokenizer_of_texts
from polo_datasets.preferences.options import PreferencesOptions
from polo_datasets.preferences.source import Preferences
from tests.pairs import conversation_rows, splits_of, text_rows
from tests.real_data import context, real_data

pytestmark = pytest.mark.oracle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="the judge, trl, is not installed")
    datasets = pytest.importorskip("datasets", reason="the judge, datasets, is not installed")
    from trl import DPOTrainer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def theirs(rows: list[dict[str, Any]], tokenizer: Any) -> list[dict[str, list[int]]]:
    """What ``DPOTrainer`` makes of the rows."""
    trainer = SimpleNamespace(_tokenizer=tokenizer)
    args = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    prepared = DPOTrainer._prepare_dataset(trainer, datasets.Dataset.from_list(rows), tokenizer, args, "train")
    return list(prepared)


def agree(rows: list[dict[str, Any]], splits: Splits, template: str | None) -> None:
    own, train = splits.own, splits.train
    assert own is not None
    assert len(train) == len(rows)
    assert train.candidates is not None
    tokenizer = train_tokenizer_of_texts([*own.prompts, *own.answers], 600)
    tokenizer.chat_template = template or tokenizer.chat_template
    texts = RowTexts(tokenizer, splits)
    for one, prompt, (chosen, rejected) in zip(
        theirs(rows, tokenizer), texts.prompts(train), train.candidates.tolist(), strict=True
    ):
        assert one["prompt_ids"] == prompt.tolist()
        assert one["chosen_ids"] == texts.titles[chosen].tolist()
        assert one["rejected_ids"] == texts.titles[rejected].tolist()


def implicit(row: dict[str, Any]) -> dict[str, Any]:
    return {"chosen": row["prompt"] + row["chosen"], "rejected": row["prompt"] + row["rejected"]}


@pytest.mark.parametrize("template", [None, CHATML], ids=["own", "chatml"])
@pytest.mark.parametrize("make", [text_rows, conversation_rows])
@pytest.mark.parametrize("form", [lambda row: row, implicit], ids=["explicit", "implicit"])
def test_tokens_are_those_of_dpo_trainer(tmp_path: Path, make: Any, form: Any, template: str | None) -> None:
    rows = [form(row) for row in make(30)]
    agree(rows, splits_of(tmp_path, rows, held_out=0.0), template)


def test_tokens_of_real_conversations_are_those_of_dpo_trainer(tmp_path: Path) -> None:
    path = f"{real_data('preferences')}/dpo_en_demo_conversational.jsonl.gz"
    splits = Preferences(PreferencesOptions(train=path, held_out=0.0), context(tmp_path)).load()
    agree(list(datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path))), splits, None)


def test_a_folder_of_datasets_is_read_without_it(tmp_path: Path) -> None:
    datasets.Dataset.from_list(text_rows(30)).select(range(5, 30)).save_to_disk(str(tmp_path / "saved"))
    options = PreferencesOptions(train=str(tmp_path / "saved"), held_out=0.0)
    found = Preferences(options, context(tmp_path)).load()
    assert found.own is not None
    assert found.own.prompts == [row["prompt"] for row in text_rows(30)[5:]]
