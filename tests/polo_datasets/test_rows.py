"""The generic source: both forms, from every kind of file, with any column names."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from polo import InputError, Splits
from polo.candidates import attach
from polo_datasets.lastfm import LastFM
from polo_datasets.lists import stitch
from polo_datasets.options import LastFMOptions, RowsOptions
from polo_datasets.rows import RowsSource
from tests.real_data import context, real_data


def load(**options: Any) -> Splits:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
    return RowsSource(RowsOptions(**plain), context(Path("/nowhere"))).load()


def walk(names: str, window: int = 4) -> list[dict[str, Any]]:
    """Rows of one user who takes the letters of ``names`` one after another."""
    return [
        {
            "historyList": "::".join(names[max(0, t - window) : t]),
            "itemList": [names[t], "x"],
            "trueSelection": names[t],
        }
        for t in range(3, len(names))
    ]


def write_lists(folder: Path, **files: list[dict[str, Any]]) -> dict[str, Path]:
    made = {"train": walk("abcdefg"), "valid": walk("gfedcb"), "test": walk("cdefab")} | files
    for name, rows in made.items():
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return {name: folder / f"{name}.jsonl" for name in made}


def titles(splits: Splits, numbers: np.ndarray) -> list[str]:
    return [splits.items.titles[i] for i in numbers.tolist()]


def test_rows_that_continue_one_another_become_one_user(tmp_path: Path) -> None:
    splits = load(**write_lists(tmp_path, train=walk("abcdefg") + walk("bdfaceg")))
    assert len(splits.sequences) == 2
    assert ["".join(titles(splits, splits.sequences[s])) for s in range(2)] == ["abcdefg", "bdfaceg"]
    assert splits.train.user.tolist() == [0] * 4 + [1] * 4
    assert splits.valid.user.tolist() == [2] * 3
    assert "".join(titles(splits, splits.test.history_of(2))) == "defa"
    rows = attach(splits, splits.test, n=2, negatives="file", known=splits.known_all)
    assert rows.candidates is not None
    assert titles(splits, rows.candidates[0]) == ["f", "x"]


@given(st.lists(st.lists(st.integers(0, 30), unique=True, min_size=4, max_size=15), min_size=1, max_size=5),
       st.integers(3, 10))  # fmt: skip
def test_stitching_named_users_gives_back_their_sequences(sequences: list[list[int]], window: int) -> None:
    rows = [(str(s), items[max(0, t - window) : t], items[t])
            for s, items in enumerate(sequences) for t in range(3, len(items))]  # fmt: skip
    users, histories, targets = ([row[c] for row in rows] for c in range(3))
    spans = stitch(histories, targets, users)  # type: ignore[arg-type]
    # the window of the file is the longest history in it
    assert [histories[a] + targets[a:b] for a, b in spans] == sequences


def test_a_user_column_joins_what_belongs_together_over_files(tmp_path: Path) -> None:
    told = (("train", "u", "abcdefg"), ("valid", "v", "gfedcb"), ("test", "u", "ghijk"))
    named = {split: [row | {"who": who} for row in walk(letters)] for split, who, letters in told}
    splits = load(**write_lists(tmp_path, **named), user_column="who")
    assert splits.train.user.tolist() == [0] * 4
    assert splits.test.user.tolist() == [0] * 2
    assert splits.known_all.count(np.array([0])).tolist() == [11]


def test_every_kind_of_file_gives_the_same_data(tmp_path: Path) -> None:
    expected = load(**write_lists(tmp_path)).fingerprint
    made = {"train": walk("abcdefg"), "valid": walk("gfedcb"), "test": walk("cdefab")}
    for split, rows in made.items():
        (tmp_path / f"{split}.json").write_text(json.dumps(rows, indent=4))
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}.parquet")
        with gzip.open(tmp_path / f"{split}.csv.gz", "wt", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"itemList": "::".join(row["itemList"])} for row in rows)
        with (tmp_path / f"list.{split}.jsonl").open("w") as file:
            file.writelines(json.dumps(r | {"historyList": r["historyList"].split("::")}) + "\n" for r in rows)
    for pattern in ("{}.json", "{}.parquet", "{}.csv.gz", "list.{}.jsonl"):
        assert load(**{split: tmp_path / pattern.format(split) for split in made}).fingerprint == expected, pattern


def test_other_column_names_and_another_separator(tmp_path: Path) -> None:
    rows = [{"h": "a|b|c", "c": "d|e", "t": "d"}]
    paths = write_lists(tmp_path, train=rows, valid=rows, test=rows)
    names = {"history_column": "h", "candidates_column": "c", "target_column": "t", "separator": "|"}
    splits = load(**paths, **names)
    assert splits.items.titles == ["d", "e", "a", "b", "c"]
    assert splits.notes == {"titles that occur in histories only": 3}


def test_a_title_with_characters_of_the_separator_stays_whole(tmp_path: Path) -> None:
    row = {"historyList": "a:::w:::b", "itemList": "::".join(["c", ":w:"]), "trueSelection": "c"}
    other = {"historyList": "a::c::b", "itemList": [":w:", "b"], "trueSelection": ":w:"}
    joined = {"historyList": "a::c::b", "itemList": "a:::w:", "trueSelection": ":w:"}
    splits = load(**write_lists(tmp_path, train=[other, row], valid=[row], test=[joined]))
    assert titles(splits, splits.train.history_of(1)) == ["a", ":w:", "b"]
    assert splits.test.candidates is not None
    assert titles(splits, splits.test.candidates[0]) == ["a", ":w:"]


def test_rows_without_lists_are_ranked_on_drawn_candidates(tmp_path: Path) -> None:
    bare = [{k: v for k, v in row.items() if k != "itemList"} for row in walk("abcdefg")]
    splits = load(**write_lists(tmp_path, train=bare, valid=bare, test=bare))
    assert splits.test.candidates is None


def test_dropped_rows_are_counted(tmp_path: Path) -> None:
    short = {"historyList": "a::b", "itemList": ["c", "x"], "trueSelection": "c"}
    twice = {"historyList": "a::b::c", "itemList": ["d", "d"], "trueSelection": "d"}
    splits = load(**write_lists(tmp_path, train=[*walk("abcdefg"), short, twice]))
    assert splits.notes == {
        "rows dropped: history shorter than 3": 1,
        "rows dropped: true title more than once in its list": 1,
    }


GOOD = walk("abcdefg")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*GOOD, GOOD[0] | {"trueSelection": "q"}], r"train.jsonl:5: the true title 'q' is not in its candidate list"),
        ([*GOOD, GOOD[0] | {"trueSelection": 3}], r"train.jsonl:5: 'trueSelection' is 3, not a title"),
        ([*GOOD, GOOD[0] | {"itemList": ["d"]}], r"train.jsonl:5: 1 candidates, the rows before have 2"),
        ([*GOOD, GOOD[0] | {"itemList": ["x", "d", "x"]}], r"train.jsonl:5: the candidate list names 'x' twice"),
        ([*GOOD, GOOD[0] | {"historyList": 7}], r"train.jsonl:5: 'historyList' is neither text nor a list"),
        ([{"title": "a"}], r"train.jsonl:1: no value in column 'trueSelection'; columns are title"),
        ([], "empty data set: no rows"),
        ([GOOD[0], GOOD[0] | {"historyList": "a"}], None),
        ([GOOD[0] | {"historyList": "a"}], "empty data set: no training row is left"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, rows: list[dict[str, Any]], message: str | None) -> None:
    paths = write_lists(tmp_path, train=rows)
    if message is None:
        assert len(load(**paths).train) == 1
    else:
        with pytest.raises(InputError, match=message):
            load(**paths)


def test_missing_options_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"form lists needs data.train"):
        load()
    with pytest.raises(InputError, match=r"data.valid: no such file"):
        load(**write_lists(tmp_path) | {"valid": tmp_path / "none.jsonl"})
    with pytest.raises(InputError, match=r"form interactions needs data.items"):
        load(form="interactions", interactions=tmp_path / "e.csv")


def test_the_published_lastfm_rows_without_users_give_its_sequences(tmp_path: Path) -> None:
    folder = Path(real_data("lastfm-hetrec"))
    files = {split: folder / f"{name}.sft.jsonl.gz"
             for split, name in (("train", "train"), ("valid", "val"), ("test", "test_a"))}  # fmt: skip
    ours = load(**files)
    theirs = LastFM(LastFMOptions(path=str(folder)), context(tmp_path)).load()
    # a user's first three items are seen only as history, so users with fewer than four items leave no trace
    expected = [titles(theirs, theirs.sequences[s]) for s in range(len(theirs.sequences))]
    assert [titles(ours, ours.sequences[s]) for s in range(len(ours.sequences))] == [e for e in expected if len(e) > 3]
    assert len(np.unique(ours.test.user)) == 45
    assert sorted(ours.items.titles) == sorted(theirs.items.titles)


# --- interactions


def write_interactions(folder: Path, events: list[str] | None = None, items: list[str] | None = None) -> dict[str, Any]:
    made = [f"u{u},i{(3 * u + t) % 9},{t}" for u in range(10) for t in reversed(range(6))]
    (folder / "events.csv").write_text("\n".join(events or ["user,item,timestamp", *made]))
    (folder / "items.csv").write_text("\n".join(items or ["item,title", *(f"i{i},Title {i}" for i in range(9))]))
    return {"form": "interactions", "interactions": folder / "events.csv", "items": folder / "items.csv"}


def test_interactions_are_ordered_by_time_and_split_leave_last_out(tmp_path: Path) -> None:
    splits = load(**write_interactions(tmp_path))
    assert splits.sequences[0].tolist() == [0, 1, 2, 3]
    assert (splits.valid.target[0], splits.test.target[0]) == (4, 5)
    assert len(splits.test) == 10
    assert splits.form == "interactions, leave_last_out"


def test_without_a_time_column_the_order_of_the_file_holds(tmp_path: Path) -> None:
    assert load(**write_interactions(tmp_path), time_column=None).sequences[0].tolist() == [5, 4, 3, 2]


def test_interactions_can_be_split_by_user(tmp_path: Path) -> None:
    splits = load(**write_interactions(tmp_path), split="by_user", seed=3)
    assert [len(np.unique(s.user)) for s in (splits.train, splits.valid, splits.test)] == [8, 1, 1]
    assert not set(splits.train.user) & set(splits.test.user)


def test_repeated_interactions_and_shared_titles_are_counted(tmp_path: Path) -> None:
    events = ["user,item,timestamp", *(f"u,i{t},{t}" for t in range(7)), "u,i0,99"]
    items = ["item,title", *(f"i{i},{'Same' if i < 2 else i}" for i in range(9))]
    assert load(**write_interactions(tmp_path, events, items)).notes == {
        "interactions dropped: repeated user and item": 1,
        "items with the title of another item": 1,
    }


@pytest.mark.parametrize(
    ("events", "items", "message"),
    [
        (["user,item,timestamp", "u,zz,1"], None, r"events.csv:2: item 'zz' is not in .*items.csv"),
        (["user,item,timestamp", "u,i1,soon"], None, r"events.csv:2: 'timestamp' is 'soon', not a number"),
        (["user,item,timestamp", "u,i1,nan"], None, r"events.csv:2: 'timestamp' is 'nan'"),
        (["who,item,timestamp", "u,i1,1"], None, r"events.csv:2: no value in column 'user'; .*\n.*data.user_column"),
        (["user,item,timestamp"], None, "empty data set: no interactions"),
        (None, ["item,title"], "empty data set: no items"),
        (None, ["item,title", "i1,A", "i1,B"], r"items.csv:3: item 'i1' is there twice"),
        (None, ["item,title", "i1, "], r"items.csv:2: item 'i1' has an empty title"),
    ],
)
def test_faults_in_interactions_are_named(
    tmp_path: Path, events: list[str] | None, items: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(**write_interactions(tmp_path, events, items))


MADE = [f"u{u},i{(u + 2 * t) % 9},{10 * t + u},{1 + (u + t) % 5}" for u in range(6) for t in range(8)]
TIMED = ["user,item,timestamp,rating", *MADE]


def test_one_cut_in_time_for_all_users(tmp_path: Path) -> None:
    splits = load(**write_interactions(tmp_path, TIMED), split="by_time", valid_share=0.25, test_share=0.25, history=4,
                  min_history=0)  # fmt: skip
    # 48 events of times 10 t + u: half of them, t < 4, are before 40; a quarter each is t = 4, 5 and t = 6, 7
    assert splits.form == "interactions, by_time (validation from 40, test from 60)"
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (24, 12, 12)
    assert splits.sequences[0].tolist() == [0, 2, 4, 6]
    # a row of its own for each event, with what was before it, held out or not
    assert splits.test.history[:2].tolist() == [[4, 6, 8, 1], [6, 8, 1, 3]]
    assert splits.test.target[:2].tolist() == [3, 5]


def test_held_out_items_of_a_user_can_be_one_row(tmp_path: Path) -> None:
    splits = load(**write_interactions(tmp_path, TIMED), split="by_time", valid_share=0.25, test_share=0.25, history=2,
                  min_history=0, sets=True)  # fmt: skip
    assert splits.test.relevant is not None
    assert (len(splits.test), splits.test.relevant.items[:2].tolist()) == (6, [3, 5])
    assert splits.test.history[0].tolist() == [8, 1]  # what came before the test part
    assert splits.form.endswith(", sets")


def test_events_can_be_drawn(tmp_path: Path) -> None:
    files = write_interactions(tmp_path, TIMED)
    splits = load(**files, split="ratio", valid_share=0.1, test_share=0.2, history=0, min_history=0, seed=1, sets=True)
    # of 8 events of each user ceil(0.8) = 1 and ceil(1.6) = 2
    assert splits.valid.relevant is not None
    assert splits.test.relevant is not None
    assert splits.valid.relevant.lengths.tolist() == [1] * 6
    assert splits.test.relevant.lengths.tolist() == [2] * 6
    assert (len(splits.train), splits.train.history.shape[1]) == (30, 0)
    assert splits.form == "interactions, ratio (0.1 and 0.2 of user, seed 1), sets"
    of_all = load(**files, split="ratio", valid_share=0.1, test_share=0.2, share_of="all", min_history=0)
    assert (len(of_all.valid), len(of_all.test)) == (5, 10)  # of 48, rounded up


def test_three_given_files(tmp_path: Path) -> None:
    write_interactions(tmp_path)
    parts = {"train": "u,i1,1\nu,i2,2\nv,i1,1\n", "valid": "u,i3,3\nv,i1,9\n", "test": "u,i4,4\nv,i5,5\n"}
    for name, text in parts.items():
        (tmp_path / f"{name}.csv").write_text(f"user,item,timestamp\n{text}")
    files = {"form": "interactions", "items": tmp_path / "items.csv"} | {n: tmp_path / f"{n}.csv" for n in parts}
    splits = load(**files, min_history=0)
    assert (splits.form, splits.train.target.tolist()) == ("interactions, given", [1, 2, 1])
    assert (splits.valid.target.tolist(), splits.test.target.tolist()) == ([3], [4, 5])
    assert splits.test.history_of(0).tolist() == [1, 2, 3]
    # v has i1 in training already
    assert splits.notes["interactions dropped: repeated user and item"] == 1
    with pytest.raises(InputError, match=r"data.test is not given"):
        load(**{name: value for name, value in files.items() if name != "test"})
    with pytest.raises(InputError, match=r"events are in one file, or in three"):
        load(**files, interactions=tmp_path / "train.csv")


def test_low_ratings_and_what_then_has_too_few_events_are_left_out_and_counted(tmp_path: Path) -> None:
    # i2 has one event that is rated well enough; without it w has one left, which goes too
    events = ["user,item,timestamp,rating", "u,i0,1,5", "u,i1,2,4", "v,i0,1,3", "v,i1,2,5", "w,i0,1,5", "w,i2,2,4",
              "u,i2,3,2"]  # fmt: skip
    splits = load(**write_interactions(tmp_path, events), min_rating=3, k_core=2, min_history=0, split="ratio",
                  share_of="all", valid_share=0.2, test_share=0.2)  # fmt: skip
    assert splits.items.ids == ["i0", "i1"]
    assert sorted(np.unique(splits.train.user).tolist() + np.unique(splits.test.user).tolist())[-1] == 1
    assert splits.form.endswith(", 2-core, rating >= 3")
    told = {
        "interactions dropped: rating below 3": 1,
        "interactions dropped: not in the 2-core": 2,
        "users dropped: not in the 2-core": 1,
        "items dropped: not in the 2-core": 1,
        "items dropped: no interaction left": 7,
    }
    assert told.items() <= splits.notes.items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "by_time", "time_column": None}, "split by_time needs times, and the data have none"),
        ({"min_rating": 3}, r"events.csv:2: no value in column 'rating'"),
        ({"k_core": 7}, "no interactions are left"),
    ],
)
def test_what_a_split_or_filter_lacks_is_said(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(**write_interactions(tmp_path), **options)


def test_shares_must_leave_something_for_training() -> None:
    with pytest.raises(InputError, match=r"valid_share 0.5 and test_share 0.5 leave nothing for training"):
        RowsOptions(valid_share=0.5, test_share=0.5)


def test_lists_whose_history_is_not_shown(tmp_path: Path) -> None:
    assert load(**write_lists(tmp_path), history=0).test.history.shape == (3, 0)
