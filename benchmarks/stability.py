"""How far HR@1 of the small base and of its SFT stage moves when nothing that matters is changed.

    python benchmarks/stability.py --jobs 11 --seconds 440 --out FOLDER     what the limit allows, best cells first
    python benchmarks/stability.py --data lastfm --variants recipe          one data set, one variant
    python benchmarks/stability.py --toy                                    seconds; checks the machinery, shows nothing
    python benchmarks/stability.py --report --out FOLDER                    the table of what is there

A cell is a base made and measured on all test and validation rows, then the recipe's stage `sft` on top, each written
down as soon as it is known. What is disturbed: the seed (0 to 4), the initial weights (1e-7 times normal noise), the
number of threads (2 instead of 1). Each cell is a process of its own with a cache of its own; finished cells are
skipped, so the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stability_study.cells import DATA, DISTURBED, VARIANTS, Cell, cells
from stability_study.summary import read, table


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=["ml100k"])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=[v for v in VARIANTS if v != "toy"])
    parser.add_argument("--disturbed", nargs="+", choices=list(DISTURBED), default=list(DISTURBED))
    parser.add_argument(
        "--first", nargs="+", metavar="KEY", default=[], help="these cells, as --list names them, first"
    )
    parser.add_argument("--base-only", action="store_true", help="leave out the stage sft")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="stop what is not done by then")
    parser.add_argument("--out", type=Path, default=Path("runs/stability"))
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.toy:
        given.data, given.variants, given.disturbed = ["toy"], ["toy"], ["seed0", "noise1"]
    return given


def record_of(out: Path, cell: Cell) -> Path:
    """Where a cell's figures are kept."""
    return out / "cells" / f"{cell.key}.json"


def done(given: argparse.Namespace, cell: Cell) -> bool:
    """Whether there is nothing left to measure."""
    path = record_of(given.out, cell)
    return path.is_file() and (given.base_only or json.loads(path.read_text("utf-8"))["sft"] is not None)


def child(given: argparse.Namespace) -> int:
    """Measures one cell."""
    from stability_study.running import measure

    from polo.store.files import write_json

    cell = Cell.of(given.cell)
    path = record_of(given.out, cell)
    path.parent.mkdir(parents=True, exist_ok=True)

    def keep(facts: dict[str, Any]) -> None:
        write_json(path, facts)
        after = "" if facts["sft"] is None else f", SFT {facts['sft']:.4f}"
        print(f"{cell.key}: HR@1 {facts['base']:.4f}{after}, {facts['cpu_seconds']:.0f} s CPU", flush=True)

    measure(cell, keep, sft=not given.base_only)
    return 0


def start(given: argparse.Namespace, cell: Cell) -> subprocess.Popen[bytes]:
    """A process that measures the cell."""
    threads = str(DISTURBED[cell.disturbed][2])
    environment = {
        **os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    words = [sys.executable, __file__, "--cell", cell.key, "--out", str(given.out)]
    log = given.out / "logs" / f"{cell.key}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        return subprocess.Popen(words + ["--base-only"] * given.base_only, env=environment, stderr=errors)


def run_all(given: argparse.Namespace, wanted: Sequence[Cell]) -> int:
    """Runs what is missing, ``jobs`` at a time; returns how many failed."""
    began, failed = time.monotonic(), 0
    waiting = [cell for cell in wanted if not done(given, cell)]
    working: dict[Cell, subprocess.Popen[bytes]] = {}
    try:
        while waiting or working:
            late = given.seconds is not None and time.monotonic() - began >= given.seconds
            if late:
                print(f"time is up; not done: {len(working)} begun, {len(waiting)} waiting", flush=True)
                break
            for cell, process in list(working.items()):
                if process.poll() is not None:
                    del working[cell]
                    if process.returncode:
                        failed += 1
                        print(f"{cell.key} failed: see {given.out / 'logs' / cell.key}.log", flush=True)
            while waiting and len(working) < given.jobs:
                working[waiting[0]] = start(given, waiting[0])
                del waiting[0]
            time.sleep(0.2)
    finally:
        for process in working.values():
            process.kill()
        for process in working.values():
            process.wait()
    return failed


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is missing, then reports."""
    given = options(words)
    if given.cell:
        return child(given)
    wanted = list(dict.fromkeys([*map(Cell.of, given.first), *cells(given.data, given.variants, given.disturbed)]))
    failed = 0
    if given.list:
        for cell in wanted:
            print("done" if done(given, cell) else "    ", cell.key)
        return 0
    if not given.report:
        failed = run_all(given, wanted)
    print(table(read(given.out)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
