"""The source ``cf``: sets of items from text files, every form of line, and the published files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo import InputError, Splits
from polo_datasets.cf import Cf, read_pairs
from polo_datasets.cf_options import CfOptions
from tests.real_data import context, real_data


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        with gzip.open(folder / f"{name}.txt.gz", "wt") as file:
            file.write(text)


def load(folder: Path, **options: Any) -> Splits:
    return Cf(CfOptions(path=str(folder), **options), context(Path("/nowhere"))).load()


def sets(splits: Splits, name: str) -> dict[int, list[str]]:
    """User number -> what is relevant, as the publisher calls it."""
    rows = getattr(splits, name)
    return {
        int(user): [splits.items.ids[i] for i in rows.relevant[np.array([r])].items] for r, user in enumerate(rows.user)
    }


def test_both_forms_of_line_and_three_given_files(tmp_path: Path) -> None:
    write(tmp_path, train="4 10 7\n4 2\n9 7\n", valid="4 11\n9 10\n", test="9 2 11\n4\n")
    splits = load(tmp_path)
    # users 4 and 9 are 0 and 1; items by number: 2, 7, 10, 11
    assert (list(splits.items.ids), list(splits.items.titles)) == (["2", "7", "10", "11"],) * 2
    assert sorted(zip(splits.train.user.tolist(), splits.train.target.tolist(), strict=True)) == [
        (0, 0), (0, 1), (0, 2), (1, 1),
    ]  # fmt: skip
    assert {rows.history.shape[1] for rows in (splits.train, splits.valid, splits.test)} == {0}
    assert sets(splits, "valid") == {0: ["11"], 1: ["10"]}
    assert sets(splits, "test") == {1: ["2", "11"]}
    assert splits.known_train.count(np.array([0, 1])).tolist() == [3, 1]
    assert splits.known_all.count(np.array([0, 1])).tolist() == [4, 4]
    assert splits.notes == {"items without a training event": 1}


def test_a_pair_that_is_there_before_stays_where_it_was_first(tmp_path: Path) -> None:
    write(tmp_path, train="0 1 2\n0 1\n", valid="0 2 3\n", test="0 1 4\n")
    splits = load(tmp_path)
    assert (sets(splits, "valid"), sets(splits, "test")) == ({0: ["3"]}, {0: ["4"]})
    assert splits.notes["pairs dropped: there before"] == 3


def test_validation_can_be_drawn_from_the_training_items(tmp_path: Path) -> None:
    train = "\n".join(f"{u} " + " ".join(map(str, range(1 + u))) for u in range(30))
    write(tmp_path, train=train, test="3 29\n")
    splits = load(tmp_path, valid=None, valid_share=0.1, seed=5)
    # ceil(n / 10) of n items, but one stays: users with 1 item give none
    drawn = {user: len(items) for user, items in sets(splits, "valid").items()}
    assert drawn == {u: -(-(1 + u) // 10) for u in range(1, 30)}
    assert len(splits.train) == sum(range(1, 31)) - sum(drawn.values())
    assert sets(load(tmp_path, valid=None, seed=6), "valid") != sets(splits, "valid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1\n0 x\n", r"train.txt.gz:2: 'x' is no whole number"),
        ("0 -1\n", r"train.txt.gz:1: '-1' is no whole number"),
        ("", "empty data set: no training row"),
        ("0\n", "empty data set: no training row"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, train=text, valid="0 2\n", test="0 3\n")
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_a_file_that_is_cut_off_or_missing_is_said(tmp_path: Path) -> None:
    write(tmp_path, train="0 1\n", valid="0 2\n", test="0 3\n")
    whole = (tmp_path / "test.txt.gz").read_bytes()
    (tmp_path / "test.txt.gz").write_bytes(whole[:-4])
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"no data for 'cf'; .*other.txt"):
        load(tmp_path, test="other.txt")


def test_a_line_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("1 2\n\n3 4 5\n")
    assert read_pairs(tmp_path / "t.txt") == [("1", "2"), ("3", "4"), ("3", "5")]


def test_the_published_files_of_beauty() -> None:
    splits = load(Path(real_data("drrl-iid")) / "amazonBeauty")
    assert (splits.n_users, len(splits.items)) == (7068, 3570)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (51_455, 7068, 7068)
    assert splits.valid.relevant is not None
    assert splits.test.relevant is not None
    assert (len(splits.valid.relevant.items), len(splits.test.relevant.items)) == (9363, 18_688)
    assert splits.notes == {"items without a training event": 3}
