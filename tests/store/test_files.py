"""Files and folders are whole or not there, damage is found and named, and what is left under temporary names goes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from polo.errors import PoloError
from polo.store.files import (
    ABANDONED,
    MANIFEST,
    damage,
    sha256,
    sweep,
    whole_file,
    whole_folder,
    write_bytes,
    write_json,
)


def left(folder: Path, name: str, age: float) -> Path:
    """A half-written folder, its file last written ``age`` seconds ago."""
    place = folder / f".tmp-{name}"
    place.mkdir(parents=True)
    (place / "weights").write_text("half")
    then = time.time() - age
    for path in (place / "weights", place):
        os.utime(path, (then, then))
    return place


def test_what_a_killed_process_left_in_a_shared_folder_goes_after_a_day_and_not_before(tmp_path: Path) -> None:
    old, new = left(tmp_path, "old", ABANDONED + 60), left(tmp_path, "new", ABANDONED - 60)
    with whole_folder(tmp_path / "whole") as place:
        (place / "weights").write_text("whole")
        used = left(tmp_path, "used", ABANDONED + 60)
        (used / "more").write_text("its process still writes")
        sweep(tmp_path, ABANDONED)
    assert not old.exists()
    assert new.exists()
    assert used.exists()
    assert (tmp_path / "whole" / "weights").read_text() == "whole"


def test_a_folder_of_ones_own_is_swept_at_once(tmp_path: Path) -> None:
    new = left(tmp_path, "new", 0)
    sweep(tmp_path)
    assert not new.exists()


def test_a_file_that_was_left_is_swept_as_a_folder_is_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".tmp-file").write_text("half")
    (tmp_path / "file").write_text("whole")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class Stop(Exception):
    pass


def stopped(writing: AbstractContextManager[Path], write: Callable[[Path], object]) -> None:
    """Writes and fails before the end."""
    with writing as place:
        write(place)
        raise Stop


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_law_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for old in (None, b"first"):
        with pytest.raises(Stop):
            stopped(whole_file(path), lambda temporary: temporary.write_bytes(b"half"))
        assert names(tmp_path) == ["new"] + ["new/file"] * (old is not None)
        write_bytes(path, b"first")
        assert path.read_bytes() == b"first"
    write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["new", "new/file"]


@pytest.mark.parametrize("value", [{"a": [1, None, True], "é": "Škoda"}, [], "text", 1.5])
def test_law_what_is_written_as_json_is_read_back(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text("utf-8")
    assert json.loads(text) == value
    assert text.endswith("\n")
    assert "\\u" not in text


def test_json_is_written_for_people_with_two_spaces(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1]})
    assert (tmp_path / "x.json").read_text("utf-8") == '{\n  "a": [\n    1\n  ]\n}\n'


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_law_the_hash_of_a_file_is_that_of_all_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def written(folder: Path) -> Path:
    with whole_folder(folder) as place:
        (place / "deep").mkdir()
        (place / "deep" / "weights").write_bytes(b"weights")
        (place / "empty").write_bytes(b"")
    return folder


def test_law_a_folder_is_whole_or_not_there_and_replaces_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder"
    with pytest.raises(Stop):
        stopped(whole_folder(path), lambda place: (place / "half").touch())
    assert names(tmp_path) == ["new"]
    path.mkdir()
    (path / "old").touch()
    assert damage(written(path)) is None
    assert names(path) == ["deep", "deep/weights", "empty", MANIFEST]
    assert names(tmp_path / "new")[0] == "folder", "nothing is left beside it"
    assert set(json.loads((path / MANIFEST).read_text())) == {"deep/weights", "empty"}
    with whole_folder(path, manifest=False) as place:
        (place / "bare").touch()
    assert names(path) == ["bare"]


def test_a_place_that_cannot_be_written_to_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for write in (lambda path: write_bytes(path, b""), written):
        with pytest.raises(PoloError, match="cannot write: ") as caught:
            write(tmp_path / "file" / "inside")
        assert caught.value.where == str(tmp_path / "file" / "inside")
        assert "free some space" in str(caught.value.fix)


def _remove(folder: Path) -> None:
    (folder / "deep" / "weights").unlink()


def _flip(folder: Path) -> None:
    (folder / "deep" / "weights").write_bytes(b"weightz")


def _manifest(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / MANIFEST).write_text(text)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_remove, "weights is missing"),
        (_flip, "weights is not what was written (sha256 differs)"),
        (lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST} cannot be read"),
        (_manifest("{"), f"{MANIFEST} cannot be read"),
        (_manifest("{}"), f"{MANIFEST} is not what was written"),
        (_manifest("[1]"), f"{MANIFEST} is not what was written"),
        (_manifest('{"../other": "x"}'), "names a file outside (../other)"),
        (_manifest('{"/etc/passwd": "x"}'), "names a file outside (/etc/passwd)"),
        (_manifest('{"deep": "x"}'), "deep cannot be read (Is a directory)"),
    ],
)
def test_law_every_damage_is_found_and_named(tmp_path: Path, harm: Callable[[Path], object], said: str) -> None:
    folder = written(tmp_path / "folder")
    (tmp_path / "other").touch()
    assert damage(folder) is None
    harm(folder)
    assert said in str(damage(folder))


@pytest.mark.parametrize("replace", [True, False])
def test_of_two_that_make_the_same_folder_the_last_wins_or_else_the_first(tmp_path: Path, replace: bool) -> None:
    place = tmp_path / "place"
    with whole_folder(place, replace=replace) as slow:
        (slow / "maker").write_text("slow")
        with whole_folder(place, replace=replace) as fast:
            (fast / "maker").write_text("fast")
        assert (place / "maker").read_text() == "fast"
    assert (place / "maker").read_text() == ("slow" if replace else "fast")
    assert list(tmp_path.iterdir()) == [place]
