"""Records of a file, or of a folder that the library ``datasets`` saved. Knows Arrow; needs no such library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from polo import InputError
from polo_datasets.files import Record, read_records


def find(given: str, option: str) -> Path:
    """The path as it is, else under ``$POLO_DATA``.

    Raises:
        InputError: neither is there; says where was looked.
    """
    home = os.environ.get("POLO_DATA")
    places = [Path(given).expanduser(), *([Path(home).expanduser() / given] if home else [])]
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(str(place.absolute()) for place in places) + ("" if home else ", $POLO_DATA (not set)")
    raise InputError(f"no such file or folder: looked at {looked}", where=option, fix=f"set {option} to its path")


def records(path: Path) -> Iterator[Record]:
    """(line or row number from 1, mapping) of each record.

    Raises:
        InputError: it cannot be read as what it is; or a folder holds several splits, or nothing that was saved.
    """
    if path.is_dir():
        yield from enumerate(_saved(path), 1)
    else:
        yield from read_records(path)


def _saved(folder: Path) -> Iterator[dict[str, object]]:
    import pyarrow as pa  # a heavy import that only this form needs

    if (folder / "dataset_dict.json").is_file():
        names = sorted(place.name for place in folder.iterdir() if place.is_dir())
        raise InputError(f"{folder} holds several splits: {', '.join(names)}", where="data",
                         fix=f"name one of them, such as {folder / names[0] if names else folder}")  # fmt: skip
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        for part in state["_data_files"]:
            with pa.memory_map(str(folder / part["filename"])) as source:
                for batch in pa.ipc.open_stream(source):
                    yield from batch.to_pylist()
    except FileNotFoundError as error:
        raise InputError(f"{folder} is no folder that `datasets` saved: {error.filename} is missing", where="data",
                         fix="write it with save_to_disk, or name a file")  from error  # fmt: skip
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise InputError(
            f"cannot be read: {error}", where=str(folder), fix="write it again with save_to_disk"
        ) from error
