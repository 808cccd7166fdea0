"""Embedding recommenders over a whole catalogue: what polo's form of a work costs beside others, on this machine.

    python benchmarks/collaborative.py --data FOLDER --json out.json       all lines, and how time and memory grow
    python benchmarks/collaborative.py --data FOLDER --only epoch draw     some lines
    python benchmarks/collaborative.py --smoke                             toy size, one round, no growth
    python benchmarks/collaborative.py --data FOLDER --peers ENVIRONMENTS  epochs of other libraries besides

`nox -s peers` makes the environments: a folder for each, `rectools` (with implicit) and `recbole`.

The clock is process time of one CPU thread. Each form runs in a process of its own, both in turn, round by round; a
ratio is the median of the rounds' ratios. Before a ratio is told both forms are run on the same rows, negatives and
weights, and must come to the same. Memory is the peak above what the process held before the form was built, less the
weights and what Adam remembers of them, which both forms hold.
Exit status 1: two forms disagree.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from collaborative_bench.growth import growth, measure_size
from collaborative_bench.measured import Figure, child, interleaved, line, measured, program, say
from collaborative_bench.peers import PEERS
from collaborative_bench.works import SIZES, WORKS

#: rounds of a line
ROUNDS = 5


def main(argv: list[str] | None = None) -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("POLO_DATA"), help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=[*WORKS, *PEERS, "growth"], help="only these lines")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="environments of other libraries")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.child:
        _child(*options.child, smoke=options.smoke)
        return 0
    if options.data is None and not options.smoke:
        parser.error("say where the data is: --data FOLDER, or POLO_DATA")
    if options.data is not None:
        os.environ["POLO_DATA"] = str(options.data)
    if options.peers is None and options.only and any(name in PEERS for name in options.only):
        parser.error("say where the environments of other libraries are: --peers FOLDER")
    wanted = options.only or [*WORKS, *PEERS, "growth"]
    rows = [_line(name, 1 if options.smoke else options.rounds, options.smoke) for name in WORKS if name in wanted]
    if options.peers is not None and not options.smoke:
        rows += [_beside(name, options.rounds, options.peers) for name in PEERS if name in wanted]
    report: dict[str, Any] = {"rows": rows, "growth": None}
    if "growth" in wanted and not options.smoke:
        report["growth"] = growth()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 0 if all(row["agree"] for row in rows) else 1


def _line(name: str, rounds: int, smoke: bool) -> Mapping[str, Any]:
    """One line of the table, said as it is found."""
    work = WORKS[name]
    agree = work.agree(work.toy())
    world = work.toy() if smoke else work.world()
    # a table of float32, and two of Adam's
    shared = 3 * 4 * SIZES.dim * (world.users + world.items) / 2**20 if name == "epoch" else None

    def figure(form: str, memory: bool) -> Figure:
        if smoke:
            return measured(lambda: work.form(form)(world), memory)
        return child(program("--child", name, form, str(int(memory))))

    found = interleaved(partial(figure, "ours"), partial(figure, "theirs"), rounds, shared)
    row = line(work.says, found, agree)
    low, high = found.spread
    told = "" if found.memory_ratio is None else f", memory {found.ours.megabytes:.0f} MB, {found.memory_ratio:.1f} x"
    print(f"{work.says[0]}, against {work.says[1]}: {found.ours.seconds:.3f} s, {found.time_ratio:.2f} x "
          f"[{low:.2f}, {high:.2f}]{told}, {'agree' if agree else 'DISAGREE'}", flush=True)  # fmt: skip
    return row


def _beside(name: str, rounds: int, environments: Path) -> Mapping[str, Any]:
    """One line of the table beside another library, said as it is found."""
    peer, rows = PEERS[name], set()

    def theirs(memory: bool) -> Figure:
        figure, count = peer.theirs(environments)
        rows.add(count)
        return figure

    found = interleaved(lambda memory: child(program("--child", name, "ours", "0")), theirs, rounds, None)
    agree = rows == {peer.ours()[1]}
    low, high = found.spread
    print(f"{peer.says[0]}, against {peer.says[1]}: {found.ours.seconds:.3f} s, {found.time_ratio:.2f} x "
          f"[{low:.2f}, {high:.2f}], {'the same rows' if agree else 'OTHER ROWS'}", flush=True)  # fmt: skip
    return line(peer.says, found, agree)


def _child(name: str, form: str, memory: str, *, smoke: bool) -> None:
    """Measures one form at full size, after a run at toy size that loads what is loaded once."""
    if name == "growth":
        measure_size(form, int(memory))
        return
    if name in PEERS:
        peer = PEERS[name]
        peer.ours()[0]()  # theirs is measured in the second epoch too
        say(measured(lambda: peer.ours()[0], memory=False))
        return
    work = WORKS[name]
    work.form(form)(work.toy())()
    world = work.toy() if smoke else work.world()
    say(measured(lambda: work.form(form)(world), memory == "1"))


if __name__ == "__main__":
    sys.exit(main())
