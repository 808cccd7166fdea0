"""The source ``recbole``: atomic files, with and without an item file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polo import InputError, Splits
from polo_datasets.recbole import RecBole
from polo_datasets.recbole_options import RecBoleOptions
from tests.real_data import context

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
EVENTS = [f"u{u}\ti{(u + t) % 7}\t{1 + t % 5}\t{100 + t}" for u in range(5) for t in reversed(range(6))]
TITLED = [f"i{i}\tTitle {i}\tC" for i in range(1, 6)]
ITEMS = ["item_id:token\tname:token_seq\tclass:token_seq", 'i0\tThe "First"\tA B', *TITLED]


def write(folder: Path, **files: list[str]) -> None:
    for name, lines in files.items():
        (folder / name.replace("_", ".")).write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(folder: Path, **options: Any) -> Splits:
    return RecBole(RecBoleOptions(name="toy", path=str(folder), **options), context(Path("/nowhere"))).load()


def test_events_are_ordered_and_items_called_by_their_titles_or_else_ids(tmp_path: Path) -> None:
    write(tmp_path, toy_inter=[HEADER, *EVENTS], toy_item=ITEMS)
    splits = load(tmp_path, title_field="name", facts=("class",))
    assert splits.items.titles == ['The "First"', *(f"Title {i}" for i in range(1, 6)), "i6"]
    assert splits.items.facts == {"class": ["A B", *["C"] * 5, ""]}
    assert [splits.items.ids[i] for i in splits.sequences[0]] == ["i0", "i1", "i2", "i3"]
    assert (splits.valid.target[0], splits.test.target[0]) == (4, 5)
    assert splits.form == "atomic, leave_last_out"
    assert splits.notes == {"items without a title": 1}


def test_without_an_item_file_ids_are_titles(tmp_path: Path) -> None:
    write(tmp_path, toy_inter=[HEADER, *EVENTS])
    splits = load(tmp_path, time_field=None)
    assert splits.items.titles == splits.items.ids
    # the order of the file
    assert [splits.items.titles[i] for i in splits.sequences[0]] == ["i5", "i4", "i3", "i2"]


def test_three_files_hold_the_parts(tmp_path: Path) -> None:
    parts = {
        "toy_train_inter": EVENTS[2::6] + EVENTS[5::6],
        "toy_dev_inter": EVENTS[1::6],
        "toy_test_inter": EVENTS[::6],
    }
    write(tmp_path, **{name: [HEADER, *lines] for name, lines in parts.items()})
    splits = load(tmp_path, benchmark_filename=("train", "dev", "test"), min_history=0, sets=True, history=3)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (10, 5, 5)
    assert splits.form == "atomic, given, sets"
    assert [splits.items.ids[i] for i in splits.test.history_of(0)] == ["i0", "i3", "i4"]


def test_ratings_are_compared(tmp_path: Path) -> None:
    write(tmp_path, toy_inter=[HEADER, *EVENTS])
    # of ratings 1 2 3 4 5 1 four are at least 2
    assert load(tmp_path, min_rating=2, min_history=0).notes["interactions dropped: rating below 2"] == 10


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([HEADER, "u\ti\t1"], {}, r"toy.inter:2: 3 fields, the first line has 4"),
        ([HEADER, "u\ti\t1\tsoon"], {}, r"toy.inter:2: 'soon' is not a number"),
        ([HEADER, "u\ti\t1\tnan"], {}, r"toy.inter:2: 'nan' is not a number"),
        ([HEADER], {}, "empty data set: no interactions"),
        (
            ["user_id:token\titem_id:token", "u\ti"],
            {},
            r"toy.inter:1: no field 'timestamp'; fields are user_id, item_id",
        ),
        ([HEADER, *EVENTS], {"title_field": "name"}, r"no data for 'toy'; .*no toy.item"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, lines: list[str], options: dict[str, Any], message: str) -> None:
    write(tmp_path, toy_inter=lines)
    with pytest.raises(InputError, match=message):
        load(tmp_path, **options)


def test_an_item_with_two_titles_and_a_lack_of_words_are_refused(tmp_path: Path) -> None:
    write(tmp_path, toy_inter=[HEADER, *EVENTS], toy_item=[*ITEMS, "i1\tOther\tC"])
    with pytest.raises(InputError, match="item 'i1' is there twice"):
        load(tmp_path, title_field="name")
    with pytest.raises(InputError, match="benchmark_filename has 2 words"):
        load(tmp_path, benchmark_filename=("train", "test"))
