"""Preference data from files: every form, faults by line, and the columns that rows with texts of their own have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import PAD, InputError, Splits
from polo_datasets.preferences.forms import form_of, read
from polo_datasets.preferences.options import PreferencesOptions
from polo_datasets.preferences.source import Preferences
from tests.pairs import conversation_rows, splits_of, text_rows, write
from tests.real_data import context, real_data

TURNS = [{"role": "user", "content": "Hi"}]
GOOD, BAD = ([{"role": "assistant", "content": content}] for content in ("Hello.", "No."))


def load(folder: Path, **options: Any) -> Splits:
    return Preferences(PreferencesOptions(**options), context(folder)).load()


def test_a_row_is_a_prompt_with_its_own_list_the_chosen_answer_first(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "chosen": "a", "rejected": ["b", "c"]},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "p", "chosen": "d", "rejected": "a"},
    ]
    splits = splits_of(tmp_path, rows, held_out=0.0)
    assert splits.own is not None
    train = splits.train
    assert splits.own.prompts == ["p", "q"]
    assert train.user.tolist() == [0, 1, 0], "equal prompts are one cluster"
    assert train.candidates is not None
    assert train.candidates.tolist() == [[0, 1, 2], [3, 4, PAD], [5, 6, PAD]], "no two rows share an answer"
    assert list(splits.items.titles) == ["a", "b", "c", "a", "b", "d", "a"]
    assert train.target.tolist() == [0, 3, 5]
    assert train.history.shape == (3, 0)
    assert train.listed.tolist()[1] == [3, 4, 3], "the target stands where there is no more"
    assert not splits.known_all.has(train.user, train.target[:, None]).any(), "nothing is known of a prompt"


@pytest.mark.parametrize(
    ("record", "form", "prompt", "chosen", "rejected"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "explicit prompt", "p", "a", ["b"]),
        ({"prompt": "p", "chosen": "a", "rejected": ["b", "c"]}, "explicit prompt", "p", "a", ["b", "c"]),
        # the space before the answers is theirs
        ({"chosen": "Hi. Yes", "rejected": "Hi. No"}, "implicit prompt", "Hi.", " Yes", [" No"]),
        ({"chosen": "ab1", "rejected": ["ab2", "a3"]}, "implicit prompt", "a", "b1", ["b2", "3"]),
        (
            {"prompt": TURNS, "chosen": GOOD, "rejected": BAD},
            "explicit prompt", tuple(TURNS), tuple(GOOD), [tuple(BAD)],
        ),
        (
            {"chosen": TURNS + GOOD, "rejected": [TURNS + BAD]},
            "implicit prompt", tuple(TURNS), tuple(GOOD), [tuple(BAD)],
        ),
        ({"instruction": "p", "input": "", "output": ["a", "b", "c"]}, "instruction", "p", "a", ["b", "c"]),
        ({"instruction": "p", "input": "x", "output": "a"}, "instruction", "p\nx", "a", []),
        ({"prompt": "p", "completion": "a", "label": True}, "unpaired", "p", "a", []),
        ({"prompt": "p", "completion": "a", "label": False}, "unpaired", "p", None, ["a"]),
        ({"prompt": "p", "completion": "a"}, "good answers", "p", "a", []),
    ],
)  # fmt: skip
def test_every_form_is_told_by_its_columns(record: Any, form: str, prompt: Any, chosen: Any, rejected: Any) -> None:
    assert form_of(record, "f:1") == form
    found = read(form, record, "f:1")
    assert (found.prompt, found.chosen, list(found.rejected)) == (prompt, chosen, rejected)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"prompt": " ", "chosen": "a", "rejected": "b"}, "the prompt is empty"),
        ({"prompt": "p", "chosen": "", "rejected": "b"}, "an answer is empty"),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, "equal to the chosen"),
        ({"prompt": "p", "chosen": "a", "rejected": ["b", "b"]}, "two rejected answers"),
        ({"prompt": "p", "rejected": "b"}, "no chosen in this row"),
        ({"prompt": "p", "chosen": "a", "rejected": []}, "no answer in rejected"),
        ({"prompt": "p", "chosen": "a", "rejected": GOOD}, "some of it is text and some a conversation"),
        ({"prompt": "p", "chosen": [{"role": "user"}], "rejected": "b"}, "lacks a role or a content"),
        ({"prompt": "p", "chosen": 3, "rejected": "b"}, "neither text nor a list of messages"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "tools": [{}]}, "calls of tools are not read"),
    ],
)
def test_a_bad_row_is_named_by_its_line_or_left_out_and_counted(tmp_path: Path, second: Any, said: str) -> None:
    rows = [{"prompt": f"p{i}", "chosen": "a", "rejected": "b"} for i in range(4)]
    rows[1:1] = [second]
    with pytest.raises(InputError, match=said) as caught:
        splits_of(tmp_path, rows)
    assert str(caught.value).startswith(f"{tmp_path / 'pairs.jsonl'}:2: ")
    left = splits_of(tmp_path, rows, bad_rows="drop", held_out=0.0)
    assert len(left.train) == 4
    (text,) = left.notes
    assert said in text
    assert left.notes[text] == 1


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "chosen": "a", "rejected": "a" if i % 2 else "b"} for i in range(6)]
    with pytest.raises(InputError, match=r"pairs.jsonl:2: .*\(and 2 more: .*pairs.jsonl:4, .*pairs.jsonl:6\)"):
        splits_of(tmp_path, rows)


def test_columns_of_no_form_are_refused_with_the_forms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"columns answer, question are no form .*\n.*chosen, prompt, rejected"):
        splits_of(tmp_path, [{"question": "q", "answer": "a"}])


def test_unpaired_completions_of_one_prompt_are_put_together(tmp_path: Path) -> None:
    def one(prompt: str, completion: str, *, label: bool) -> dict[str, Any]:
        return {"prompt": prompt, "completion": completion, "label": label}

    rows = [
        one("p", "good", label=True),
        one("p", "bad", label=False),
        one("p", "better", label=True),
        one("p", "worse", label=False),
        one("p", "bad", label=False),
        one("p", "both", label=True),
        one("p", "both", label=False),
        one("q", "alone", label=False),
        one("r", "fine", label=True),
    ]
    splits = splits_of(tmp_path, rows, held_out=0.0)
    titles, lists = splits.items.titles, splits.train.candidates
    assert lists is not None
    assert [[titles[i] for i in row if i != PAD] for row in lists] == [
        ["good", "bad", "worse"], ["better", "bad", "worse"], ["both", "bad", "worse"], ["fine"],
    ]  # fmt: skip
    assert dict(splits.notes) == {
        "completions dropped: labelled both good and bad for one prompt": 1,
        "completions dropped: bad, and their prompt has no good one": 1,
    }


def test_rankings_get_their_reverse_as_rejected_answer(tmp_path: Path) -> None:
    rows = [{"instruction": f"p{i}", "output": f" A{i} ,  B "} for i in range(3)]
    splits = splits_of(tmp_path, rows, reverse=" ,  ", held_out=0.0)
    assert list(splits.items.titles)[:2] == [" A0 ,  B ", " B ,  A0 "]
    with pytest.raises(InputError, match="no ranking"):
        splits_of(tmp_path, rows, reverse=";")


def test_rows_without_a_rejected_answer_train_but_are_not_measured(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", [{"prompt": f"p{i}", "completion": "a"} for i in range(3)])
    pairs = write(tmp_path / "test.jsonl", text_rows(4))
    splits = load(tmp_path, train=str(good), test=str(pairs), valid=str(good))
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (3, 0, 4)
    assert splits.notes["rows not measured: no rejected answer"] == 3


def test_every_kind_of_file_holds_the_same_data(tmp_path: Path) -> None:
    rows = text_rows(20, rejected=3)
    for row in rows:
        row["rejected"] = list(row["rejected"])
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "pairs.parquet")
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    saved = tmp_path / "saved"  # as `Dataset.save_to_disk` writes it: Arrow streams, listed in state.json
    saved.mkdir()
    for number, part in enumerate((table.slice(0, 12), table.slice(12))):
        with pa.OSFile(str(saved / f"data-{number}.arrow"), "wb") as sink, pa.ipc.new_stream(sink, part.schema) as out:
            out.write_table(part)
    names = [{"filename": f"data-{number}.arrow"} for number in range(2)]
    (saved / "state.json").write_text(json.dumps({"_data_files": names}))
    lines = write(tmp_path / "pairs.jsonl", rows)
    found = {load(tmp_path, train=str(path)).fingerprint for path in
             (lines, tmp_path / "pairs.json", tmp_path / "pairs.parquet", saved)}  # fmt: skip
    assert len(found) == 1
    (saved / "state.json").unlink()
    with pytest.raises(InputError, match=r"no folder that `datasets` saved: .*state.json is missing"):
        load(tmp_path, train=str(saved))


def test_a_path_is_looked_for_under_polo_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "here.jsonl", text_rows(12))
    monkeypatch.setenv("POLO_DATA", str(tmp_path))
    assert len(load(tmp_path, train="here.jsonl", held_out=0.0).train) == 12
    monkeypatch.delenv("POLO_DATA")
    with pytest.raises(InputError, match=r"no such file or folder: .*\$POLO_DATA \(not set\)"):
        load(tmp_path, train="here.jsonl")


@settings(max_examples=30, deadline=None)
@given(prompts=st.lists(st.integers(0, 9), min_size=20, max_size=60), seed=st.integers(0, 9))
def test_law_a_prompt_is_in_one_split_alone(
    tmp_path_factory: pytest.TempPathFactory, prompts: list[int], seed: int
) -> None:
    rows = [{"prompt": f"p{p}", "chosen": f"a{i}", "rejected": "b"} for i, p in enumerate(prompts)]
    splits = splits_of(tmp_path_factory.mktemp("pairs"), rows, held_out=0.2, seed=seed)
    parts = [set(some.user.tolist()) for some in (splits.train, splits.valid, splits.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(set(prompts))
    assert sum(len(some) for some in (splits.train, splits.valid, splits.test)) == len(rows)
    ids = np.concatenate([some.id for some in (splits.train, splits.valid, splits.test)])
    assert sorted(ids.tolist()) == list(range(len(rows)))


def test_the_fingerprint_follows_every_text_and_the_split(tmp_path: Path) -> None:
    rows = conversation_rows(20)
    other = json.loads(json.dumps(rows))
    other[7]["chosen"][0]["content"] += "!"
    prints = [splits_of(tmp_path, one, **options).fingerprint
              for one, options in ((rows, {}), (rows, {}), (other, {}), (rows, {"seed": 1}))]  # fmt: skip
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_real_conversations_and_rankings_are_read(tmp_path: Path) -> None:
    chats = load(tmp_path, train=f"{real_data('preferences')}/dpo_en_demo_conversational.jsonl.gz")
    assert sum(len(some) for some in (chats.train, chats.valid, chats.test)) == 300
    assert chats.own is not None
    assert chats.own.conversational
    folder = real_data("dmpo")
    ranked = load(
        tmp_path, train=f"{folder}/ml_1m_dpo_ranking_5.jsonl.gz", test=f"{folder}/ml_1m_eval_ranking.jsonl.gz",
        reverse=" ,  ",
    )  # fmt: skip
    assert (len(ranked.train) + len(ranked.valid), len(ranked.test)) == (500, 1000)
    # the rejected answers of the training file are the chosen ones the other way round
    assert ranked.train.candidates is not None
    for good, bad in ranked.train.candidates[:50]:
        first, second = ranked.items.titles[good].strip().split(" ,  ")
        assert ranked.items.titles[bad].strip() == f"{second} ,  {first}"
