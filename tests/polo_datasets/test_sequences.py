"""The source ``sequences``: whole sequences, or events and held-out sets, with an item table and texts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo import InputError, Splits
from polo_datasets.sequences import SequencesSource
from polo_datasets.sequences_options import SequencesOptions
from tests.real_data import context, real_data

ITEMS = "item,title,genres\n3,Alien,Horror\n1,,Drama\n7,Heat,Crime\n9,Up,Family\n5,Never taken,None\n"
TEXTS = [{"item": 3, "text": "In space"}, {"item": 5, "text": "Nobody"}]


def load(folder: Path, **options: Any) -> Splits:
    return SequencesSource(SequencesOptions(path=str(folder), **options), context(folder)).load()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "items.csv.gz").write_bytes(gzip.compress(ITEMS.encode()))
    lines = [{"user": "a", "items": [3, 1, 7, 9]}, {"user": "b", "items": [9, 3, 9]}]
    (tmp_path / "sequences.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, TEXTS)))
    (tmp_path / "train.csv").write_text("user,item\na,3\na,1\na,7\nb,9\nb,3\nc,1\nc,3\n")
    (tmp_path / "test.csv").write_text("user,item\nb,1\na,9\nb,7\nb,9\nd,3\n")
    return tmp_path


def test_the_last_item_is_tested_and_the_one_before_it_validated(folder: Path) -> None:
    """a: 3 1 | 7 | 9. b: its second 9 is dropped, which leaves 9 3: too short for three parts, so it only trains."""
    splits = load(folder, texts="texts.jsonl", facts=("genres",))
    assert splits.items.ids == ["3", "1", "7", "9"]
    assert splits.items.titles == ["Alien", "1", "Heat", "Up"]
    assert splits.items.facts == {"genres": ["Horror", "Drama", "Crime", "Family"], "text": ["In space", "", "", ""]}
    assert splits.test.target.tolist() == [3]
    assert splits.valid.target.tolist() == [2]
    assert splits.test.history_of(0).tolist() == [0, 1, 2]
    assert [splits.sequences[s].tolist() for s in range(2)] == [[0, 1], [3, 0]]
    assert splits.notes["events dropped: repeated user and item"] == 1
    assert splits.notes["items without a title"] == 1
    assert len(load(folder, only_taken=False).items) == 5


def test_sets_that_a_file_holds_out_are_all_relevant(folder: Path) -> None:
    """b has 9 in both files, so 1 and 7 are left; d is in no sequence; c is held out nowhere and has no test row."""
    splits = load(folder, sequences="train.csv", test="test.csv")
    assert splits.test.user.tolist() == [0, 1]
    assert splits.test.relevant is not None
    assert [sorted(splits.test.relevant[np.array([r])].items.tolist()) for r in range(2)] == [[3], [1, 2]]
    assert splits.test.target.tolist() == [3, 1]
    assert splits.test.history_of(0).tolist() == [0, 1, 2]
    assert splits.valid.target.tolist() == [2, 0, 0]
    assert [splits.sequences[s].tolist() for s in range(3)] == [[0, 1], [3], [1]]
    held = splits.known_all.has(np.array([1, 1]), np.array([[1], [2]]))
    assert held.all()
    assert not splits.known_train.has(np.array([1, 1]), np.array([[1], [2]])).any()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("items.csv.gz", None, r"no data for 'sequences'; looked at .* \(no items.csv.gz\)"),
        ("sequences.jsonl.gz", '{"user": "a", "items": [4]}', "item '4' is not in the item table"),
        ("sequences.jsonl.gz", '{"user": "a", "items": "3"}', "not a list"),
        ("sequences.jsonl.gz", '{"user": "a"}', "no value in column 'item'"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, file: str, text: str | None, words: str) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputError, match=words):
        load(folder)


def test_beauty_has_the_sizes_that_are_known_of_it() -> None:
    splits = load(Path(real_data("amazon-beauty-2014")))
    assert len(splits.items) == 12101
    assert splits.n_users == 22363
    assert len(splits.test) == len(splits.valid) == 22363
    assert len(splits.sequences.items) == 198502 - 2 * 22363
    assert splits.notes["items without a title"] == 7


def test_movielens_has_texts_and_sets() -> None:
    folder = Path(real_data("ml-1m"))
    splits = load(folder, sequences="train.csv.gz", test="test.csv.gz", texts="item_llm_text.jsonl.gz", history=5)
    assert len(splits.items) == 3260
    assert len(splits.test) == 6040
    assert splits.test.relevant is not None
    assert len(splits.test.relevant.items) == 197321
    assert sum(map(bool, splits.items.facts["text"])) >= 3259
