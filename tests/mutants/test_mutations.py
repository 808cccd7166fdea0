"""The breaker itself: what it makes is code, in one place, and the same every time."""

from __future__ import annotations

import ast
import difflib
import os
import time
from pathlib import Path

import pytest

pytest.importorskip("mutmut", reason="mutmut is not installed; `nox -s mutants` has it")

from tests.mutants.areas import AREAS
from tests.mutants.judge import wait
from tests.mutants.mutations import choose, mutations

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted({path for area in AREAS.values() for pattern in area.sources for path in ROOT.glob(pattern)})

SOURCE = '''
"""Doc of 1 word."""
def f(x: int = 3) -> "Float[n]":
    if x > 2 and not x:
        raise ValueError(f"{x + 1} is too much: 7")
    return zip([1], [x], strict=True)
_ENTRIES = 1 << 24
def g(x):
    step = max(1, _ENTRIES // x)
    return x.sum(dim=-1) - x.any(-1)
'''


def test_what_is_broken_is_numbers_comparisons_and_conditions_and_no_message(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    found = {(one.line, one.after) for one in mutations(Path("a.py"), tmp_path)}
    assert found == {
        (3, 'def f(x: int = 4) -> "Float[n]":'),
        (4, "if x >= 2 and not x:"),
        (4, "if x > 3 and not x:"),
        (4, "if x > 2 or not x:"),
        (4, "if x > 2 and x:"),
        (6, "return zip([2], [x], strict=True)"),
        (10, "return x.sum(dim=-1) + x.any(-1)"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_law_every_mutation_is_code_that_differs_in_one_place(path: Path) -> None:
    before = path.read_text("utf-8")
    for one in mutations(path.relative_to(ROOT), ROOT):
        ast.parse(one.text)
        changes = difflib.SequenceMatcher(None, before.splitlines(), one.text.splitlines(), autojunk=False)
        assert len([code for code in changes.get_opcodes() if code[0] != "equal"]) == 1


def test_every_pattern_of_an_area_finds_sources_and_every_test_is_there() -> None:
    for area in AREAS.values():
        assert all(list(ROOT.glob(pattern)) for pattern in area.sources)
        assert all((ROOT / test).exists() for test in area.tests)


def test_a_line_is_broken_once_however_many_ways_there_are() -> None:
    every = list(mutations(Path("polo/train/checkpoint.py"), ROOT))
    chosen = choose(every, len(every), [float(i) for i in range(len(every))])
    assert len(chosen) == len({one.line for one in chosen}) < len(every)


def test_a_test_that_never_ends_is_ended() -> None:
    child = os.fork()
    if child == 0:
        os.setsid()
        while True:
            time.sleep(1)
    assert wait(child, 0.5) is None
