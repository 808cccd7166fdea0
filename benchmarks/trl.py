"""TRL's trainers beside polo on the same rows, base and adapters: first whether they agree, then what a step costs.

    python benchmarks/trl.py --json out.json          parity of seven losses, and all cells (an hour and a half)
    python benchmarks/trl.py --smoke                  two losses for a few steps and the smallest cell, for CI
    python benchmarks/trl.py --parity                 parity alone
    python benchmarks/trl.py --shape tiny --k 1       some of the cells

One thread, process time, interleaved rounds, medians of ratios; peak memory above what both sides hold before a step.
Weights and rows are random: nothing here speaks about quality. TRL's side has its own best switches on this machine,
see ``trl_bench.cost``. Needs trl 1.16.0 (dependency group `oracles`). Exit status 1: the two do not agree.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
# this file has the name of the library that it is about: the folder comes last, so that `import trl` finds the library
_HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [*(place for place in sys.path if str(Path(place).resolve()) != _HERE), _HERE]

if __name__ == "trl":  # somebody wants the library, finds this folder first on the path, and has no such library
    raise ModuleNotFoundError("No module named 'trl', but a benchmark of this name", name="trl")
if importlib.util.find_spec("trl") is None or importlib.util.find_spec("trl").origin == __file__:
    sys.exit("this benchmark is about TRL: pip install trl==1.16.0")

import torch  # noqa: E402 - after the number of threads
from step_bench.measure import machine  # noqa: E402
from trl_bench.cost import Cost, Point, cost  # noqa: E402
from trl_bench.parity import PAIRS, STEPS, TOLERANCE, parity  # noqa: E402

SEED = 1
#: tokens of prompt and answer
LENGTHS = ((400, 8), (400, 100), (200, 200), (50, 400))
KS = (1, 4, 19)
#: goals: time by shape at lengths and k = 1, memory everywhere
GOALS = {("tiny", 200, 200): 4.0, ("mid", 200, 200): 2.5, ("tiny", 400, 8): 8.0, ("mid", 400, 8): 4.0}
MEMORY_GOAL = 4.0

COLUMNS = (
    "shape|prompt:answer|k|TRL s|polo s|time x|TRL MB|polo MB|memory x|TRL's defaults: time x, memory x|"
    "head at answers: time x, memory x|dloss|dgrad"
)
HEADER = f"| {COLUMNS.replace('|', ' | ')} |\n|{'---|' * (COLUMNS.count('|') + 1)}"


def say(text: str) -> None:
    """At once, since cells take minutes."""
    print(text, flush=True)


def line(one: Cost) -> str:
    """A cell of the table, in Markdown."""

    def both(time: float | None, memory: float | None) -> str:
        return "" if time is None else f"{time:.1f}, {memory:.1f}"

    cells = (
        one.shape, f"{one.prompt}:{one.answer}", one.k, f"{one.trl_s:.2f}", f"{one.polo_s:.3f}",
        f"{one.time_ratio:.1f} ({one.low:.1f}-{one.high:.1f})", f"{one.trl_mb:.0f}", f"{one.polo_mb:.0f}",
        f"{one.memory_ratio:.1f}", both(one.time_ratio_default, one.memory_ratio_default),
        both(one.time_ratio_head, one.memory_ratio_head), f"{one.dloss:.0e}", f"{one.dgrad:.0e}",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def missed(one: Cost) -> list[str]:
    """Goals that a cell misses; at larger k the goal of k = 1 times k."""
    where, found = f"{one.shape} {one.prompt}:{one.answer} k={one.k}", []
    goal = GOALS.get((one.shape, one.prompt, one.answer))
    if goal is not None and one.time_ratio < goal * one.k:
        found.append(f"{where}: time {one.time_ratio:.1f}x, goal {goal * one.k:g}x")
    if one.memory_ratio < MEMORY_GOAL:
        found.append(f"{where}: memory {one.memory_ratio:.1f}x, goal {MEMORY_GOAL:g}x")
    return found


def main(argv: list[str] | None = None) -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=["tiny", "mid"], help="only this shape (may be repeated)")
    parser.add_argument("--k", action="append", type=int, choices=KS, help="only this k")
    parser.add_argument("--lengths", action="append", choices=[f"{p}:{a}" for p, a in LENGTHS], help="only these")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parity", action="store_true", help="parity alone")
    parser.add_argument("--no-parity", action="store_true", help="cost alone")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    say(", ".join(f"{name} {value}" for name, value in machine().items()) + f"; seed {SEED}")
    report: dict[str, Any] = {"machine": machine(), "seed": SEED, "parity": {}, "cost": []}

    def write() -> None:
        if options.json:
            options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    wrong, goals = [], []
    names = [] if options.no_parity else ["dpo", "kto"] if options.smoke else list(PAIRS)
    for name in names:
        found = parity(name, 4 if options.smoke else STEPS)
        report["parity"][name] = max(found.values())
        say(f"parity {name}: " + ", ".join(f"{what} {value:.1e}" for what, value in found.items()))
        wrong += [f"{name}: {found}"] if report["parity"][name] > TOLERANCE else []
        write()
    for point in [] if options.parity else _points(options):
        if not report["cost"]:
            say(HEADER)
        one = cost(point, 1 if options.smoke else options.rounds, SEED, forms=_with_forms(point) and not options.smoke)
        report["cost"].append(one.figures())
        say(line(one))
        wrong += [] if one.agrees else [f"{point}: dloss {one.dloss:.1e}, dgrad {one.dgrad:.1e}"]
        goals += [] if options.smoke else missed(one)
        write()
    for text in (*wrong, *goals):
        say(text)
    return 1 if wrong else 0


def _with_forms(point: Point) -> bool:
    """The cells in which TRL's other forms are looked at too."""
    return point.k == 1 and point.prompt == point.answer


def _points(options: argparse.Namespace) -> list[Point]:
    if options.smoke:
        return [Point("tiny", 50, 8, 2, 1)]
    chosen = [(p, a) for p, a in LENGTHS if not options.lengths or f"{p}:{a}" in options.lengths]
    return [
        Point(shape, prompt, answer, k, 2 if k == 1 else 1)
        for k in options.k or KS
        for shape in options.shape or ["tiny", "mid"]
        for prompt, answer in chosen
    ]


if __name__ == "__main__":
    sys.exit(main())
