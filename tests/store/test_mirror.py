"""Runs that are kept elsewhere: what is there after each upload can be trusted, and a run goes on from it.

A folder of this machine stands in for the store (``file://``); a real object store has a session of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from polo.errors import InputError
from polo.store.files import MANIFEST, damage, whole_folder
from polo.store.mirror import Mirror, fetch, working


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store/runs/toy-1"


def there(tmp_path: Path) -> dict[str, bytes]:
    root = tmp_path / "store" / "runs" / "toy-1"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def checkpoint(run: Path, name: str, text: str) -> Path:
    with whole_folder(run / "checkpoints" / name) as place:
        (place / "a").write_text(text)
        (place / "policy").mkdir()
        (place / "policy" / "b").write_text(text)
    return run / "checkpoints" / name


def never(line: str) -> None:
    raise AssertionError(line)


def test_what_is_there_follows_what_is_here(tmp_path: Path, url: str) -> None:
    run = tmp_path / "here"
    checkpoint(run, "sft-2", "two")
    (run / ".lock").touch()
    (run / ".tmp-123-half").write_text("half")
    mirror = Mirror(url, run, never)
    assert mirror.push()
    assert set(there(tmp_path)) == {f"checkpoints/sft-2/{name}" for name in ("a", "policy/b", MANIFEST)}
    checkpoint(run, "sft-4", "four")
    shutil.rmtree(run / "checkpoints" / "sft-2")
    assert mirror.push()
    assert set(there(tmp_path)) == {f"checkpoints/sft-4/{name}" for name in ("a", "policy/b", MANIFEST)}


def test_only_what_changed_is_uploaded_also_by_the_next_process(tmp_path: Path, url: str) -> None:
    run = tmp_path / "here"
    checkpoint(run, "sft-2", "two")
    (run / "metrics.jsonl").write_text("1\n")
    Mirror(url, run, never).push()
    (run / "metrics.jsonl").write_text("1\n2\n")
    again = Mirror(url, run, never)
    sent = recorded(again)
    again.push()
    again.push()
    assert sent == ["put metrics.jsonl"]


def recorded(mirror: Mirror) -> list[str]:
    """What the mirror does to its store from now on."""
    done: list[str] = []
    store, root = mirror._store, mirror._root

    class Recording:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put_file(self, here: str, place: str) -> None:
            done.append(f"put {place.removeprefix(root + '/')}")
            store.put_file(here, place)

        def rm_file(self, place: str) -> None:
            done.append(f"rm {place.removeprefix(root + '/')}")
            store.rm_file(place)

    mirror._store = Recording()
    return done


def test_a_manifest_comes_after_its_files_and_goes_before_them(tmp_path: Path, url: str) -> None:
    run = tmp_path / "here"
    checkpoint(run, "sft-2", "two")
    (run / "resolved.yaml").write_text("{}")
    mirror = Mirror(url, run, never)
    done = recorded(mirror)
    mirror.push()
    folder = "checkpoints/sft-2"
    assert done == [f"put {folder}/a", f"put {folder}/policy/b", f"put {folder}/{MANIFEST}", "put resolved.yaml"]
    done.clear()
    shutil.rmtree(run / folder)
    checkpoint(run, "sft-2", "again")
    mirror.push()
    assert done[0] == f"rm {folder}/{MANIFEST}"
    assert done[-1] == f"put {folder}/{MANIFEST}"
    done.clear()
    shutil.rmtree(run / folder)
    mirror.push()
    assert done[0] == f"rm {folder}/{MANIFEST}"


@pytest.mark.parametrize("arrived", range(3))
def test_law_an_upload_that_is_cut_short_is_never_taken_for_whole(tmp_path: Path, url: str, arrived: int) -> None:
    """A checkpoint of three files is replaced; the connection is lost after any of them."""
    run = tmp_path / "here"
    checkpoint(run, "sft-2", "two")
    warned: list[str] = []
    mirror = Mirror(url, run, warned.append)
    mirror.push()
    shutil.rmtree(run / "checkpoints" / "sft-2")
    checkpoint(run, "sft-2", "other")
    store, left = mirror._store, [arrived]

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put_file(self, here: str, place: str) -> None:
            if not left[0]:
                raise OSError("connection lost")
            left[0] -= 1
            store.put_file(here, place)

    mirror._store = Failing()
    assert not mirror.push()
    assert "connection lost" in warned[0]
    copy = fetch(url, tmp_path / "cache")
    assert damage(copy / "checkpoints" / "sft-2") is not None
    mirror._store = store
    assert mirror.push()
    copy = fetch(url, tmp_path / "cache")
    assert damage(copy / "checkpoints" / "sft-2") is None
    assert (copy / "checkpoints" / "sft-2" / "a").read_text() == "other"


def test_what_is_fetched_is_what_is_there_and_need_not_be_sent_again(tmp_path: Path, url: str) -> None:
    run, cache = tmp_path / "here", tmp_path / "cache"
    checkpoint(run, "sft-2", "two")
    Mirror(url, run, never).push()
    (working(url, cache) / "stages").mkdir(parents=True)
    (working(url, cache) / "old").touch()
    copy = fetch(url, cache)
    assert copy == working(url, cache)
    assert not (copy / "old").exists()
    assert damage(copy / "checkpoints" / "sft-2") is None
    assert (copy / "stages").is_dir()
    mirror = Mirror(url, copy, never)
    done = recorded(mirror)
    mirror.push()
    assert done == []


def test_nothing_that_never_arrived_is_lost(tmp_path: Path, url: str) -> None:
    here = working(url, tmp_path / "cache")
    checkpoint(here, "sft-2", "two")
    assert fetch(url, tmp_path / "cache") == here
    assert damage(here / "checkpoints" / "sft-2") is None


def test_a_store_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store of this kind"):
        fetch("nowhere://bucket/run", tmp_path)
