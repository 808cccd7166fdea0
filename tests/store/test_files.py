"""What is left under temporary names."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from polo.store.files import ABANDONED, sweep, whole_folder


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
