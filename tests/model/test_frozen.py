"""Frozen weights stay what they were, and take no memory before somebody reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from polo.errors import PoloError
from polo.model.frozen import Frozen, frozen
from polo.model.weights import digest, snapshot, under


def resident() -> int:
    """Bytes of this process in main memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_frozen_weights_are_those_of_then_and_leave_no_file(tmp_path: Path) -> None:
    module = nn.Linear(3, 4)
    kept, expected = frozen(module, tmp_path / "new" / "folder"), snapshot(module)
    with torch.no_grad():
        module.weight.mul_(2)
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in expected)
    assert digest(kept) == digest(expected)
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_module_computes_under_them_and_then_with_its_own(tmp_path: Path) -> None:
    module, x = nn.Linear(3, 4), torch.randn(2, 3)
    before, kept = module(x).detach(), frozen(module, tmp_path)
    with torch.no_grad():
        module.weight.mul_(2)
    after = module(x).detach()
    with under(module, kept):
        assert torch.equal(module(x), before)
    assert torch.equal(module(x), after)


def test_what_nobody_reads_takes_no_memory(tmp_path: Path) -> None:
    megabytes = 64
    weights = {str(n): torch.full((1 << 20,), float(n)) for n in range(megabytes // 4)}
    began = resident()
    kept = Frozen(weights, tmp_path)
    assert resident() - began < megabytes << 18, "a fourth of its size at most"
    assert sum(float(value.sum()) for value in kept.values()) == sum(range(megabytes // 4)) * 2.0**20
    assert resident() - began > megabytes << 19, "and when it is read it is there: the measure does see it"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PoloError, match="the reference's weights cannot be written"):
        frozen(nn.Linear(1, 1), tmp_path / "file")
