"""A folder on its way to a hub: a real client and a real server, both on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from polo.errors import InputError, PoloError
from polo.store.hub import check_id, push
from tests.fake_hub import Hub, connected

#: how the client hands large files to its own HTTP library
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with connected(monkeypatch) as held:
        yield held


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {
        "README.md": b"---\ntags: [a]\n---\n",
        "manifest.json": b"{}",
        "base/w.safetensors": b"x" * 99,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def given(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("README.md", "base/w.safetensors")}


def test_all_files_are_one_commit_of_a_new_repository(there: Hub, folder: Path) -> None:
    address = push(folder, "org/toy", private=True, replace=False, message="toy, by polo")
    assert address == f"{there.address}/org/toy"
    files = dict(there.repositories["org/toy"])
    assert files.pop(".gitattributes")
    assert files == given(folder), "the manifest stays here"
    assert (there.commits, there.private) == (["toy, by polo"], {"org/toy": True})


def test_files_of_a_repository_go_only_if_they_may(there: Hub, folder: Path) -> None:
    push(folder, "org/toy", private=False, replace=False, message="one")
    there.repositories["org/toy"]["old.bin"] = b"old"
    before = dict(there.repositories["org/toy"])
    (folder / "README.md").write_bytes(b"---\ntags: [b]\n---\n")
    with pytest.raises(InputError, match="holds 3 files already"):
        push(folder, "org/toy", private=False, replace=False, message="two")
    assert there.repositories["org/toy"] == before
    push(folder, "org/toy", private=False, replace=True, message="two")
    assert set(there.repositories["org/toy"]) == {".gitattributes", "README.md", "base/w.safetensors"}
    assert there.repositories["org/toy"]["README.md"] == b"---\ntags: [b]\n---\n"
    assert there.commits == ["one", "two"]


def test_a_hub_that_refuses_or_is_not_there_is_one_sentence(there: Hub, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    with pytest.raises(PoloError, match=r"org/toy: the hub has not taken it: .*401(.|\n)*hf auth login") as refused:
        push(folder, "org/toy", private=False, replace=False, message="one")
    assert refused.value.exit_code == 1
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PoloError, match="the hub has not taken it"):
        push(folder, "org/toy", private=False, replace=False, message="one")
    assert there.repositories == {}


@pytest.mark.parametrize("name", ["toy", "a/b/c", "org/", "org/a..b", "org/" + "x" * 100, "https://hub/org/toy"])
def test_what_is_no_id_is_told_before_anything_is_made(name: str) -> None:
    with pytest.raises(InputError, match="is no id of a model"):
        check_id(name)
