"""Processes side by side: how many, what they say, and how all of them end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from polo.errors import PoloError
from polo.sweep.jobs import Stopped, side_by_side


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, pathlib, signal, sys\n{text}"]


def test_all_run_in_order_and_their_words_are_kept_by_name() -> None:
    told: list[str] = []
    said = side_by_side({name: program(f"print({name!r})") for name in "abc"}, 2, told.append)
    assert said == {"a": "a\n", "b": "b\n", "c": "c\n"}
    assert told[-1].endswith("done (3 of 3)")


def test_no_more_than_so_many_run_at_once(tmp_path: Path) -> None:
    """Each notes how many files of others, which are there while they run, it sees."""
    text = f"""
place = pathlib.Path({str(tmp_path)!r})
own = place / str(os.getpid())
own.write_text('')
import time
seen = 0
for _ in range(20):
    seen = max(seen, len(list(place.iterdir())))
    time.sleep(0.005)
own.unlink()
print(seen)"""
    said = side_by_side({str(n): program(text) for n in range(5)}, 2, lambda line: None)
    assert max(int(out) for out in said.values()) <= 2


def test_one_that_fails_is_named_with_its_words_and_the_others_are_asked_to_end() -> None:
    waiting = "signal.pause()"
    bad = "sys.stderr.write('row 7 is bad'); sys.exit(2)"
    with pytest.raises(PoloError, match=r"b ended with exit code 2; it said:\nrow 7 is bad") as caught:
        side_by_side({"a": program(waiting), "b": program(bad), "c": program("")}, 2, lambda line: None)
    assert caught.value.exit_code == 2


def test_a_signal_reaches_every_process_and_no_other_is_started(tmp_path: Path) -> None:
    text = f"pathlib.Path({str(tmp_path)!r}, str(os.getpid())).write_text('')\nsignal.pause()"
    before = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Stopped):
        side_by_side({name: program(text) for name in "abc"}, 2, lambda line: None)
    thread.join()
    assert len(list(tmp_path.iterdir())) == 2
    assert signal.getsignal(signal.SIGINT) is before
