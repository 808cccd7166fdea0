"""Interactions on the disk give the splits of the same interactions in memory, bit for bit, and the same errors."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import polo_datasets.mapped.reading as reading
import polo_datasets.mapped.sorting as sorting
from polo import InputError, LazyRows, PoloError, Splits
from polo.testing import check_component
from polo_datasets.options import RowsOptions
from polo_datasets.rows import RowsSource
from tests.real_data import context

ITEMS = 7


def write(folder: Path, table: dict[str, Any] | pa.Table, row_group: int = 5) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    made = table if isinstance(table, pa.Table) else pa.table(table)
    parquet.write_table(made, folder / "events.parquet", row_group_size=row_group)
    items = "\n".join(["item,title", *(f"{i},Title {min(i, ITEMS - 2)}" for i in range(ITEMS))])
    (folder / "items.csv").write_text(items)
    return {
        "form": "interactions", "interactions": str(folder / "events.parquet"), "items": str(folder / "items.csv"),
        "history": 3, "min_history": 1,
    }  # fmt: skip


def load(cache: Path, **options: Any) -> Splits:
    return RowsSource(RowsOptions(**options), context(cache)).load()


def assert_same(ours: Splits, theirs: Splits) -> None:
    for name in ("name", "form", "fingerprint", "tied_times", "notes", "n_users"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (ours.items.ids, ours.items.titles) == (theirs.items.ids, theirs.items.titles)
    for part in ("train", "valid", "test"):
        mine, its = getattr(ours, part), getattr(theirs, part)
        assert isinstance(mine, LazyRows)
        for name in ("id", "user", "history", "target"):
            assert np.array_equal(getattr(mine, name), getattr(its, name)), (part, name)
    for name in ("user", "items", "offsets"):
        assert np.array_equal(getattr(ours.sequences, name), getattr(theirs.sequences, name)), name
    users = np.arange(theirs.n_users + 1)
    every = np.broadcast_to(np.arange(len(theirs.items)), (len(users), len(theirs.items)))
    for name in ("known_train", "known_all"):
        assert np.array_equal(getattr(ours, name).has(users, every), getattr(theirs, name).has(users, every)), name


def outcome(cache: Path, **options: Any) -> Splits | str:
    try:
        return load(cache, **options)
    except InputError as error:
        return str(error)


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, ITEMS - 1), st.integers(0, 4), st.integers(1, 5)),
                  min_size=1, max_size=40)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    EVENTS, st.sampled_from([None, 2.5]), st.booleans(), st.integers(0, 2), st.integers(0, 4), st.integers(1, 9),
    st.integers(1, 9), st.sampled_from([pa.int64(), pa.int32(), pa.string(), pa.large_string(), pa.float64()]),
)  # fmt: skip
def test_law_splits_on_the_disk_are_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, int]], least: float | None,
    timed: bool, min_history: int, history: int, part: int, batch: int, words: pa.DataType,
) -> None:  # fmt: skip
    """In any order, with ties in time and pairs that are there twice; parts and batches of a few events."""
    folder = tmp_path_factory.mktemp("mapped")
    user, item, time, rating = (list(column) for column in zip(*events, strict=True))
    options = write(folder, {"user": pa.array(user).cast(words), "item": item, "timestamp": time, "rating": rating})
    options |= {"min_rating": least, "min_history": min_history, "history": history}
    options |= {} if timed else {"time_column": None}
    theirs = outcome(folder, **options)
    with patch.object(sorting, "PART", part), patch.object(reading, "_BATCH", batch):
        ours = outcome(folder, **options, mapped=True)
    if isinstance(theirs, str) or isinstance(ours, str):
        assert ours == theirs
    else:
        assert_same(ours, theirs)
    assert not list((folder / "columns").glob(".tmp*"))


def many(users: int = 40, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    count = 12 * users
    return {"user": rng.integers(0, users, count), "item": rng.integers(0, ITEMS, count),
            "timestamp": rng.integers(0, 5, count)}  # fmt: skip


def test_columns_are_made_once_for_a_file_and_its_options(tmp_path: Path) -> None:
    options = write(tmp_path, many()) | {"mapped": True}
    said: list[str] = []

    def again(**more: Any) -> Splits:
        given = context(tmp_path / "cache")
        object.__setattr__(given, "say", said.append)
        return RowsSource(RowsOptions(**options | more), given).load()

    first = again()
    assert again().fingerprint == first.fingerprint
    assert len(said) == 1
    again(licence="of no matter to what is sorted")
    assert len(said) == 1
    again(history=2)
    assert len(said) == 2
    cut = next(path for path in (tmp_path / "cache" / "columns").iterdir() if path.is_dir()) / "known_all"
    cut.write_bytes(cut.read_bytes()[:-8])  # a disk that lost the end of it
    for history in (2, 3):
        again(history=history)
    assert len(said) == 3
    write(tmp_path, many(seed=1))
    assert again().fingerprint != first.fingerprint
    assert len(said) == 4


def test_what_is_in_memory_does_not_grow_with_the_events(tmp_path: Path) -> None:
    splits = load(tmp_path, **write(tmp_path, many()), mapped=True)
    columns = [splits.sequences.items, vars(splits.train)["_items"], vars(splits.known_all)["_codes"],
               vars(splits.known_train)["_codes"], vars(splits.known_all)["_marked"]]  # fmt: skip
    for column in columns:
        base = column
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("item", [0, 1, None, 3, 99, 5]),
        ("item", [0, 1, 2, 99, None, 5]),
        ("user", ["a", None, "b", "c", "d", "e"]),
        ("timestamp", [0.0, 1.0, 2.0, 3.0, float("nan"), None]),
        ("timestamp", [0.0, 1.0, float("inf"), 3.0, 4.0, None]),
        ("timestamp", ["1", "2", "3.5", "4", "5", "soon"]),
        ("timestamp", [dt.date(2020, 1, 1)] * 6),
        ("rating", [1, 2, 3, 4, 5, None]),
        ("nothing", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_record_that_does_not_fit_is_named_as_it_is_in_memory(tmp_path: Path, column: str, values: list[Any]) -> None:
    table = {"user": list("aabbcc"), "item": [0, 1, 2, 3, 4, 5], "timestamp": [1] * 6, "rating": [5] * 6}
    options = write(tmp_path, (table | {column: values}) if column in table else
                    {"nobody" if name == "user" else name: values for name, values in table.items()})  # fmt: skip
    options["min_rating"] = 1.0
    theirs = outcome(tmp_path, **options)
    assert isinstance(theirs, str)
    assert "events.parquet:" in theirs
    with patch.object(reading, "_BATCH", 2):
        assert outcome(tmp_path, **options, mapped=True) == theirs
    assert [path.suffix for path in (tmp_path / "columns").iterdir()] == [".lock"]


def test_words_are_numbered_alike_whatever_the_file_keeps_them_as(tmp_path: Path) -> None:
    names = pa.array(["ä", "b", "ä", "c", "b", "b", "c", "c", "ä", "b"])
    table = {"user": names.dictionary_encode(), "item": pa.array([f"{i % 7}" for i in range(10)]).dictionary_encode(),
             "timestamp": pa.array([True, False] * 5)}  # fmt: skip
    options = write(tmp_path, pa.table(table)) | {"min_history": 0}
    assert_same(load(tmp_path, **options, mapped=True), load(tmp_path, **options))


def test_of_several_processes_one_makes_the_columns(tmp_path: Path) -> None:
    options = write(tmp_path, many()) | {"mapped": True}
    said: list[str] = []
    given = context(tmp_path)
    object.__setattr__(given, "say", said.append)
    with ThreadPoolExecutor(3) as pool:  # a lock of a file is one of an opening, whoever opened it
        found = [pool.submit(RowsSource(RowsOptions(**options), given).load) for _ in range(3)]
    assert len({one.result().fingerprint for one in found}) == len(said) == 1


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "columns").write_text("a file in the place of the folder")
    with pytest.raises(PoloError, match="cannot write"):
        load(tmp_path, **write(tmp_path, many()), mapped=True)


def test_files_that_are_no_parquet_or_empty_are_refused(tmp_path: Path) -> None:
    options = write(tmp_path, {"user": pa.array([], pa.string())}) | {"mapped": True}
    assert outcome(tmp_path, **options) == outcome(tmp_path, **options | {"mapped": False})
    (tmp_path / "events.parquet").write_bytes(b"PAR1 and no more of it")
    with pytest.raises(InputError, match=r"not Parquet"):
        load(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "lists"}, r"data.form: mapped interactions cannot have form: lists"),
        ({"split": "by_time"}, r"data.split: mapped interactions cannot have split: by_time"),
        ({"k_core": 5}, r"k_core: 5"),
        ({"train": "x.parquet"}, r"train: False"),
        ({"interactions": "events.csv"}, r"interactions: events.csv"),
    ],
)
def test_what_mapped_interactions_cannot_do_is_refused(options: dict[str, Any], message: str) -> None:
    given = {"form": "interactions", "interactions": "e.parquet", "mapped": True} | options
    with pytest.raises(InputError, match=message.replace("False", "x.parquet")):
        RowsOptions(**given)


def test_mapped_interactions_pass_the_checks(tmp_path: Path) -> None:
    options = write(tmp_path, many()) | {"mapped": True}
    for check in check_component("data", "rows", options):
        check.run()
