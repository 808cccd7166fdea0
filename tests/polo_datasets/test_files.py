"""Reading tables: every form gives the same records, and every fault names its place."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from polo import InputError
from polo_datasets.files import find_folder, need_file, read_records
from polo_datasets.titles import split_titles

RECORDS = [{"user": "7", "title": 'Café, "Del" Mar'}, {"user": "8", "title": "line\nbreak"}]


def write(folder: Path, kind: str) -> Path:
    path = folder / f"data.{kind}"
    plain = kind.removesuffix(".gz")
    if plain == "jsonl":
        data = "\n".join(json.dumps(r) for r in RECORDS).encode()
    elif plain == "json":
        data = json.dumps(RECORDS, indent=4).encode()
    elif plain == "parquet":
        sink = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(RECORDS), sink)
        data = sink.getvalue()
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, ["user", "title"], delimiter="," if plain == "csv" else "\t")
        writer.writeheader()
        writer.writerows(RECORDS)
        data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if kind.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("kind", [k + z for k in ("jsonl", "json", "csv", "tsv", "parquet") for z in ("", ".gz")])
def test_every_form_gives_the_same_records(tmp_path: Path, kind: str) -> None:
    assert [record for _, record in read_records(write(tmp_path, kind))] == RECORDS


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', r"a.jsonl:2: list where an object is needed"),
        ("a.jsonl", b"[" * 100_000, r"a.jsonl:1: not JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a.jsonl: not UTF-8"),
        ("a.json", b'[{"a": 1},\n oops]', r"a.json:2: not JSON"),
        ("a.json", b'{"a": 1}', r"a.json: holds no list"),
        ("a.csv", b"a,b\n1,2\n3\n", r"a.csv:3: not as many fields as the header has \(2\)"),
        ("a.csv", b"a,b\n1,2,3\n", r"a.csv:2: not as many fields"),
        ("a.parquet", b"no parquet", r"a.parquet: not Parquet"),
        ("a.jsonl.gz", b"no gzip", r"a.jsonl.gz: cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], r"a.jsonl.gz: cannot be read"),
        ("a.txt", b"", r"a.txt: cannot tell what a.txt is"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        list(read_records(path))


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.train: no such file"):
        need_file(tmp_path / "none.jsonl", "data.train")
    with pytest.raises(InputError, match="is a directory"):
        need_file(tmp_path, "data.train")


def test_the_given_path_comes_first_then_the_variable_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("given", "home/set", "cache/set"):
        (tmp_path / home).mkdir(parents=True)
        (tmp_path / home / "a.csv").touch()
    monkeypatch.setenv("POLO_DATA", str(tmp_path / "home"))
    cache = tmp_path / "cache"
    assert find_folder(str(tmp_path / "given"), "set", cache, ["a.csv"])[0] == tmp_path / "given"
    assert find_folder(None, "set", cache, ["a.csv"])[0] == tmp_path / "home" / "set"
    monkeypatch.delenv("POLO_DATA")
    assert find_folder(None, "set", cache, ["a.csv"])[0] == cache / "set"
    found, looked = find_folder(None, "set", cache, ["b.csv"])
    assert found is None
    assert looked == [f"{cache / 'set'} (no b.csv)", "$POLO_DATA (not set)"]
    # a path that was given is not silently replaced by another place
    assert find_folder(str(tmp_path / "none"), "set", cache, ["a.csv"])[0] is None


TITLES = st.text(st.sampled_from("ab:"), min_size=1, max_size=4)


@given(st.lists(TITLES, min_size=1, max_size=5))
def test_joined_titles_come_apart_into_known_titles_that_join_to_the_same_text(titles: list[str]) -> None:
    text = "::".join(titles)
    got = split_titles(text, "::", set(titles))
    assert "::".join(got) == text
    assert set(got) <= set(titles)
