"""MovieLens-100K: both file forms, ties of time, titles."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from polo import InputError, Splits
from polo_datasets.ml100k import ML100K, display_title
from polo_datasets.options import ML100KOptions
from tests.real_data import context, real_data

TITLES = ["Toy Story (1995)", "Sting, The (1973)", "Kolya (1996)", "unknown", "Café, La (1990)", "F", "G", "H"]
#: (user, item, rating, time): user 5's items 2 and 3 tie, in the order of the file
EVENTS = [(9, 1 + i, 4, 100 + i) for i in range(8)] + [
    (5, 3, 4, 20), (5, 2, 4, 20), (5, 1, 4, 10), (5, 4, 4, 30), (5, 5, 1, 40), (5, 6, 2, 50), (5, 3, 5, 60),
]  # fmt: skip


def as_tables(folder: Path) -> Path:
    events = ["user,item,rating,timestamp", *(",".join(map(str, e)) for e in EVENTS)]
    items = ["item,title,release_date,genres", *(f'{i},"{t}",,Comedy|Drama' for i, t in enumerate(TITLES, 1))]
    for name, lines in (("interactions.csv.gz", events), ("items.csv.gz", items)):
        (folder / name).write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


def as_published(folder: Path) -> Path:
    (folder / "u.data").write_text("\n".join("\t".join(map(str, e)) for e in EVENTS))
    flags = "|".join("1" if i in (5, 8) else "0" for i in range(19))  # Comedy and Drama
    lines = [f"{i}|{title}|01-Jan-1995||http://x|{flags}" for i, title in enumerate(TITLES, 1)]
    (folder / "u.item").write_bytes("\n".join(lines).encode("latin-1"))
    return folder


def load(folder: Path | str, **options: object) -> Splits:
    return ML100K(ML100KOptions(path=str(folder), **options), context(Path("/nowhere"))).load()  # type: ignore[arg-type]


def test_both_file_forms_are_the_same_data(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = load(as_tables(tmp_path / "a")), load(as_published(tmp_path / "b"))
    assert a.fingerprint == b.fingerprint
    assert a.items.facts["genres"][0] == "Comedy|Drama"


def test_events_are_ordered_by_time_then_by_the_file_and_the_last_two_are_held_out(tmp_path: Path) -> None:
    splits = load(as_tables(tmp_path))
    assert splits.sequences.user.tolist() == [5, 9]
    assert splits.sequences[0].tolist() == [0, 2, 1, 3]
    assert (splits.valid.target[0], splits.test.target[0]) == (4, 5)
    assert splits.test.history_of(0).tolist() == [0, 2, 1, 3, 4]
    assert splits.notes == {"ratings dropped: repeated user and item": 1}


def test_titles_are_shown_as_people_write_them_or_as_published(tmp_path: Path) -> None:
    assert list(load(as_tables(tmp_path)).items.titles[:5]) == ["Toy Story", "The Sting", "Kolya", "unknown", "La Café"]
    published = load(tmp_path, titles="published")
    assert list(published.items.titles) == TITLES
    assert published.form != load(tmp_path).form


@pytest.mark.parametrize(
    ("title", "shown"), [("L'Enfer, L' (1994)", "L'L'Enfer"), ("(1995)", "(1995)"), ("Ran, A Film", "Ran, A Film")]
)
def test_odd_titles_keep_something_to_show(title: str, shown: str) -> None:
    assert display_title(title) == shown


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"MovieLens-100K was not found; looked at .*no interactions.csv.gz"):
        load(tmp_path)
    as_published(tmp_path)
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n1\t2\tx\n")
    with pytest.raises(InputError, match=r"u.data:2: not whole numbers"):
        load(tmp_path)
    (tmp_path / "u.data").write_text("1\t99\t3\t4\n")
    with pytest.raises(InputError, match="item 99 is rated but has no title"):
        load(tmp_path)
    (tmp_path / "u.data").write_text("")
    with pytest.raises(InputError, match="empty data set"):
        load(tmp_path)


def test_the_real_files_have_the_counts_their_page_says() -> None:
    splits = load(real_data("ml-100k"))
    assert (len(splits.items), len(splits.valid), len(splits.test)) == (1682, 943, 943)
    assert len(splits.sequences.items) == 100_000 - 2 * 943
    assert len(splits.train) == 100_000 - 5 * 943
    assert (np.diff(splits.sequences.offsets) >= 18).all()
