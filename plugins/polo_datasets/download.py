"""Downloading an archive from its publisher, so that a broken-off download leaves nothing behind.

Knows http and zip. Knows no data set.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError

from polo import Context, InputError, PoloError

_CHUNK: Final = 1 << 16
#: seconds without an answer
_TIMEOUT: Final = 30
#: a member that unpacks to more than this many bytes is not what we came for
_LARGEST: Final = 1 << 30


def fetch_archive(
    url: str, folder: Path, *, members: Sequence[str], terms: str, sha256: str | None, context: Context
) -> Path:
    """Downloads a zip archive and puts the named members into ``folder``; each appears whole or not at all.

    Only the members asked for are unpacked, under their own bare names, wherever they lie in the archive: a path
    inside the archive is never followed.

    Args:
        url: http or https address.
        folder: where the members go; files of other names that are there already stay.
        members: names of the files to take.
        terms: shown to the user before anything is fetched.
        sha256: expected digest in hexadecimal, or ``None`` for any; the digest is printed either way.
        context: says and tracks.

    Raises:
        InputError: the address is not http, or the digest is another.
        PoloError: no network, a broken transfer, or an archive without the members.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"not an http address: {url}", where="data.url", fix="give an http or https address")
    context.say(f"terms of use: {terms}")
    context.say(f"downloading {url}")
    by_hand = f"download it by hand, unpack it, and set data.path to the folder with {' and '.join(members)}"
    made = not folder.exists()
    done = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as name:
            archive = Path(name) / "archive.zip"
            digest = _fetch(url, archive, context)
            context.say(f"sha256 {digest}")
            if sha256 is not None and digest != sha256.lower():
                raise InputError(f"sha256 is {digest}, not {sha256}", where=url, fix="check data.url and data.sha256")
            for member in members:
                _extract(archive, member, Path(name) / member)
            for member in members:  # all are there: each appears whole, by a rename within one file system
                (Path(name) / member).replace(folder / member)
        done = True
    except HTTPError as error:
        with error:  # it holds the connection
            raise PoloError(f"the download failed: {error}", where=url, fix=by_hand) from error
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise PoloError(f"the download failed: {getattr(error, 'reason', error)}", where=url, fix=by_hand) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise PoloError(f"not a readable zip archive: {error}", where=url, fix=by_hand) from error
    except OSError as error:
        raise PoloError(f"cannot write: {error}", where=str(folder), fix="free space or set another cache") from error
    finally:
        if made and not done:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return folder


def _fetch(url: str, target: Path, context: Context) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, target.open("wb") as file:  # noqa: S310 (http only, checked)
        length = int(answer.headers.get("Content-Length") or 0)
        total = -(-length // _CHUNK) if length else None
        for chunk in context.track(_chunks(answer), total, "downloading"):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if length and target.stat().st_size != length:
        raise http.client.IncompleteRead(b"", length - target.stat().st_size)
    return digest.hexdigest()


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := answer.read(_CHUNK):
        yield chunk


def _extract(archive: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.filename.replace("\\", "/").rsplit("/", 1)[-1] == member and info.file_size <= _LARGEST:
                with file.open(info) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
                return
        raise zipfile.BadZipFile(f"holds no {member}")
