"""Reads what Weights & Biases wrote offline: records in LevelDB's log format behind a head of seven bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

_BLOCK, _HEAD, _RECORD = 32768, 7, struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _LAST = 1, 2, 4


def records(file: Path) -> Iterator[Any]:
    """The records of a ``.wandb`` file, in order."""
    data, at, whole = file.read_bytes(), _HEAD, b""
    assert data[:4] == b":W&B"
    while at + _RECORD.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD.size:  # the rest of a block is zeros
            at += left
            continue
        _, length, kind = _RECORD.unpack_from(data, at)
        part = data[at + _RECORD.size : at + _RECORD.size + length]
        at += _RECORD.size + length
        whole = part if kind in (_FULL, _FIRST) else whole + part
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
