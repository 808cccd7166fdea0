"""LastFM: the published rows, the raw archive, and its download from a local server."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from polo import InputError, PoloError, Rows, Splits
from polo.candidates import attach
from polo_datasets.hetrec import ARTISTS, TAGS, read_artists, read_tags
from polo_datasets.lastfm import LastFM
from polo_datasets.options import LastFMOptions
from tests.real_data import context, real_data

NAMES = ["Covenant", ":wumpscut:", "Haujobb", "Café Tacvba", "E", "F", "G", "H"]


def write_gz(path: Path, lines: list[object]) -> None:
    path.write_bytes(gzip.compress("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines).encode()))


def published(folder: Path, **change: object) -> Path:
    """A small set in the published form: one user a split, sequences 0..5, 1..6, 2..7."""
    write_gz(folder / "items.csv.gz", ["item,title", *(f"{i},{name}" for i, name in enumerate(NAMES))])
    walks = {"train": range(6), "val": range(1, 7), "test": range(2, 8)}
    lines: list[object] = []
    for user, (split, walk) in enumerate(walks.items()):
        lines.append({"user": user, "split": split, "items": list(walk)})
        rows: list[object] = []
        for t in range(3, 6):
            shown, target = [NAMES[i] for i in walk[:t]], NAMES[walk[t]]
            others = [name for name in NAMES if name not in shown and name != target][:1]
            row = {
                "user": user,
                "historyList": "::".join(shown),
                "itemList": [target, *others],
                "trueSelection": target,
            }
            rows.append(row | (change if split == "train" and t == 4 else {}))
        write_gz(folder / f"{'test_a' if split == 'test' else split}.sft.jsonl.gz", rows)
    write_gz(folder / "sequences.jsonl.gz", lines)
    return folder


def load(path: Path | str | None, cache: Path | None = None, **options: object) -> Splits:
    chosen = LastFMOptions(path=None if path is None else str(path), **options)  # type: ignore[arg-type]
    return LastFM(chosen, context(cache or Path("/nowhere"))).load()


def test_published_rows_are_read_with_their_lists_even_where_a_title_holds_colons(tmp_path: Path) -> None:
    splits = load(published(tmp_path), history=5)
    assert splits.train.history.tolist() == [[-1, -1, 0, 1, 2], [-1, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert splits.train.target.tolist() == [3, 4, 5]
    assert splits.train.candidates is not None
    assert splits.train.candidates.tolist() == [[3, 4], [4, 5], [5, 6]]
    assert splits.sequences[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert splits.known_all.has(splits.test.user[:1], np.arange(8)[None]).tolist() == [[False] * 2 + [True] * 6]
    assert not splits.known_train.has(splits.test.user[:1], np.arange(8)[None]).any()


def test_a_shorter_window_shows_the_latest_and_short_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    splits = load(published(tmp_path), history=2, min_history=4)
    assert splits.train.history.tolist() == [[2, 3], [3, 4]]
    assert splits.notes == {"rows dropped: history too short": 3}


def test_a_window_longer_than_the_published_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shows 6 items"):
        load(published(tmp_path), history=6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trueSelection": "Nobody"}, r"train.sft.jsonl.gz:2: title 'Nobody' is not in items.csv.gz"),
        ({"itemList": ["F", "G"]}, r"train.sft.jsonl.gz:2: the true title is not exactly once"),
        ({"itemList": ["E", "F", "G"]}, r"train.sft.jsonl.gz:2: 3 candidates, rows before have 2"),
        ({"historyList": None}, r"train.sft.jsonl.gz:2: no value in column 'historyList'"),
        ({"user": 1, "trueSelection": "Covenant", "itemList": ["Covenant", "H"]}, r"user 1 has a row whose target"),
    ],
)
def test_a_row_that_does_not_fit_is_an_error_with_its_place(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(published(tmp_path, **change), history=5)


def test_missing_published_rows_say_where_was_looked_and_that_they_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLO_DATA", str(tmp_path / "home"))
    with pytest.raises(InputError) as error:
        load(None, tmp_path / "cache")
    for word in (str(tmp_path / "home" / "lastfm-hetrec"), str(tmp_path / "cache"), "data.form=hetrec", "data.path"):
        assert word in str(error.value)
    assert not (tmp_path / "cache").exists()


def rows_as_told(rows: Rows) -> list[tuple[int, list[int], int]]:
    return [(int(rows.user[i]), rows.history_of(i).tolist(), int(rows.target[i])) for i in range(len(rows))]


def test_the_published_files_have_the_counts_their_page_says(tmp_path: Path) -> None:
    splits = load(real_data("lastfm-hetrec"))
    assert [len(s) for s in (splits.train, splits.valid, splits.test, splits.items)] == [47_872, 2_767, 1_256, 4_606]
    assert [len(np.unique(s.user)) for s in (splits.train, splits.valid, splits.test)] == [976, 122, 45]
    assert len(splits.sequences.items) == 50_800
    # every shown window is the part of the user's sequence before the target
    for user, history, target in rows_as_told(splits.train)[::997]:
        whole = splits.sequences[user].tolist()
        at = whole.index(target)
        assert history == whole[max(0, at - 10) : at]
    attach(splits, splits.test, n=20, negatives="file", known=splits.known_all)


# --- the raw archive


def raw_files(users: int = 20, artists: int = 30) -> dict[str, str]:
    """Users who tag in the order of a permutation of their own; some artists twice, some at the same instant."""
    tags, rng = ["userID\tartistID\ttagID\ttimestamp"], np.random.default_rng(0)
    for user in range(users):
        order = rng.permutation(artists)[:8] + 1
        tags += [f"{user + 2}\t{artist}\t{t}\t{1_200_000_000_000 + t // 2}" for t, artist in enumerate(order)]
        tags.append(f"{user + 2}\t{order[0]}\t99\t1300000000000")  # again, later: not the first
    tags.append("2\t999\t1\t1200000000000")  # an artist without a name
    names = ["id\tname\turl\tpictureURL", *(f"{a + 1}\tArtist {a + 1}é\thttp://x\thttp://y" for a in range(artists))]
    return {TAGS: "\r\n".join(tags) + "\r\n", ARTISTS: "\n".join(names) + "\n"}


def archive(files: dict[str, str], prefix: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(prefix + name, text)
        file.writestr("../evil.txt", "not wanted")
    return out.getvalue()


@contextmanager
def serving(folder: Path, handler: type[BaseHTTPRequestHandler] | None = None) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), handler or partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLO_DATA", raising=False)


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("prefix", ["", "hetrec/"])
def test_the_archive_is_downloaded_once_with_its_terms_and_its_digest(tmp_path: Path, prefix: str) -> None:
    data = archive(raw_files(), prefix)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.zip").write_bytes(data)
    said: list[str] = []
    with serving(tmp_path / "www") as url:
        options = LastFMOptions(form="hetrec", url=f"{url}/a.zip")
        first = LastFM(options, context(tmp_path / "cache", said.append)).load()
    assert any("non-commercial" in line for line in said)
    assert f"sha256 {hashlib.sha256(data).hexdigest()}" in said
    # the server is gone: the second time nothing is fetched
    said.clear()
    assert LastFM(options, context(tmp_path / "cache", said.append)).load().fingerprint == first.fingerprint
    assert said == []
    everything = {path.relative_to(tmp_path / "cache").as_posix() for path in (tmp_path / "cache").rglob("*")}
    assert everything == {"lastfm-hetrec", f"lastfm-hetrec/{TAGS}", f"lastfm-hetrec/{ARTISTS}"}
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("a.zip", archive(raw_files()), {"sha256": "0" * 64}, "sha256 is .*, not 0000"),
        ("a.zip", archive({TAGS: "x"}), {}, f"holds no {ARTISTS}"),
        ("a.zip", b"no zip at all", {}, "not a readable zip archive"),
        ("b.zip", b"", {}, "the download failed: HTTP Error 404"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, name: str, data: bytes, options: dict[str, str], message: str
) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / name).write_bytes(data)
    with serving(tmp_path / "www") as url, pytest.raises(PoloError, match=message):
        load(None, tmp_path / "cache", form="hetrec", url=f"{url}/a.zip", **options)
    assert not list((tmp_path / "cache").rglob("*"))


@pytest.mark.usefixtures("no_data")
def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    class Short(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"PK")

        def log_message(self, *args: object) -> None: ...

    with serving(tmp_path, Short) as url, pytest.raises(PoloError, match="the download failed"):
        load(None, tmp_path / "cache", form="hetrec", url=f"{url}/a.zip")
    assert not list((tmp_path / "cache").rglob("*"))


@pytest.mark.usefixtures("no_data")
def test_without_a_network_the_message_says_how_to_do_it_by_hand(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        pass  # the port is free again: nobody answers
    with pytest.raises(PoloError, match="the download failed") as error:
        load(None, tmp_path / "cache", form="hetrec", url=f"{url}/a.zip")
    assert "download it by hand" in str(error.value)
    with pytest.raises(InputError, match="not an http address"):
        load(None, tmp_path / "cache", form="hetrec", url="file:///etc/passwd")


def raw_folder(tmp_path: Path, **files: str) -> Path:
    tmp_path.mkdir(exist_ok=True)
    for name, text in (raw_files() | files).items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return tmp_path


def test_raw_tags_become_first_tags_in_time_order_with_ties_in_drawn_order(tmp_path: Path) -> None:
    splits = load(raw_folder(tmp_path), form="hetrec")
    # 20 users, 8 artists each: 16 users train, 2 and 2 are held out, 5 rows each
    assert [len(s) for s in (splits.train, splits.valid, splits.test)] == [80, 10, 10]
    assert splits.notes == {
        "tags dropped: artist without a name": 1,
        "tags dropped: not the first of its user and artist": 20,
        "rows dropped: history shorter than 3": 60,
    }
    user, artist, time = read_tags(tmp_path / TAGS)
    when = {(u, a): t for u, a, t in zip(user[::-1].tolist(), artist[::-1].tolist(), time[::-1].tolist(), strict=True)}
    for s, who in enumerate(splits.sequences.user.tolist()):
        times = [when[who, int(splits.items.ids[i])] for i in splits.sequences[s].tolist()]
        assert times == sorted(times)
        assert len(times) == 8
    other = load(tmp_path, form="hetrec", seed=1)
    assert other.fingerprint != splits.fingerprint
    assert splits.items.titles[0].endswith("é")


def test_names_are_read_as_utf_8_and_bad_lines_are_named(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "a")
    assert read_artists(folder / ARTISTS)[3] == "Artist 3é"
    (folder / ARTISTS).write_text("id\tname\n1\tA\nx\tB\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"{ARTISTS}:3"):
        read_artists(folder / ARTISTS)
    (folder / TAGS).write_text("h\n1\t2\t3\t4\n1\t2\t3\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"{TAGS}:3"):
        read_tags(folder / TAGS)


def test_a_given_folder_without_the_raw_files_is_not_downloaded_into(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="HetRec 2011 files were not found"):
        load(tmp_path, tmp_path / "cache", form="hetrec")
    assert not (tmp_path / "cache").exists()
