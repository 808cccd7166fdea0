"""What one training step costs with a shared prefix and without, on this machine; fails if the two do not agree.

    python benchmarks/step.py --json out.json         all shapes, the ladder, marginal cost, selection (half an hour)
    python benchmarks/step.py --smoke                 tiny shape, k = 5, two users: ten seconds, for CI
    python benchmarks/step.py --shape tiny --k 5      one cell
    python benchmarks/step.py --official PATH         the published trainer itself, from a local clone
    python benchmarks/step.py --gpu                   the sizes of Llama-3.2-1B in bfloat16 on a CUDA device

One thread, process time (CUDA events on a GPU), interleaved rounds, medians of ratios. Weights, prompts and titles are
random: nothing here speaks about the quality of recommendations. Exit status 1: loss or gradient differ; 2: a gate is
missed (with ``--gates``, and in ``--smoke``).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message="Number of distinct clusters")

import torch  # noqa: E402 - after the number of threads

if importlib.util.find_spec("sklearn") is None:
    sys.exit("the published selection, which is timed here, is scikit-learn's: pip install 'scikit-learn>=1.5'")

from step_bench.compare import GRADIENT_TOLERANCE, Bench, Race, ladder, marginal, race  # noqa: E402
from step_bench.contestants import SAME_MODE  # noqa: E402
from step_bench.measure import machine  # noqa: E402
from step_bench.selection import selection_ratio  # noqa: E402
from step_bench.world import SHAPES, TINY  # noqa: E402

KS = (1, 5, 20)
SEED = 1
#: least share of the FLOP floor, and least memory ratio of the tiny shape, by k
GATE_FLOOR, GATE_MEMORY, GATE_SELECTION, GATE_MARGINAL = 0.75, {1: 7.5, 5: 14.0, 20: 32.0}, 60.0, 0.025
SMOKE_TIME = SMOKE_MEMORY = 8.0

COLUMNS = "shape|k|users|naive s|ours s|time x|floor x|% of floor|naive MB|ours MB|memory x|dloss|dgrad"
HEADER = f"| {COLUMNS.replace('|', ' | ')} |\n|{'---|' * (COLUMNS.count('|') + 1)}"


def line(shape: str, one: Race) -> str:
    """A cell of the table, in Markdown."""
    cells = (
        shape,
        one.k,
        one.users,
        f"{one.naive_s:.2f}",
        f"{one.ours_s:.3f}",
        one.time,
        f"{one.floor:.1f}",
        f"{100 * one.share:.0f}",
        f"{one.naive_mb:.0f}",
        f"{one.ours_mb:.0f}",
        f"{one.memory:.1f}",
        f"{one.dloss:.1e}",
        f"{one.dgrad:.1e}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def say(text: str) -> None:
    """At once, since cells take minutes."""
    print(text, flush=True)


def missed(shape: str, one: Race) -> list[str]:
    """Gates that a cell of the table misses."""
    found = []
    if one.share < GATE_FLOOR:
        found.append(f"{shape} k={one.k}: time at {one.share:.0%} of the floor, gate {GATE_FLOOR:.0%}")
    if shape == "tiny" and one.memory < GATE_MEMORY.get(one.k, 0):
        found.append(f"{shape} k={one.k}: memory {one.memory:.1f}x, gate {GATE_MEMORY[one.k]}x")
    return found


def main(argv: list[str] | None = None) -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=["tiny", "mid"], help="only this shape (may be repeated)")
    parser.add_argument("--k", action="append", type=int, choices=sorted(TINY.users), help="only this k")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--same-mode", action="store_true", help="ours with checkpointing and a live second model")
    parser.add_argument("--no-ladder", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--gates", action="store_true", help="exit 2 if a gate is missed")
    parser.add_argument("--official", type=Path, metavar="PATH")
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    say(", ".join(f"{name} {value}" for name, value in machine().items()) + f"; seed {SEED}")
    if options.smoke:
        return smoke()
    if options.official:
        from step_bench.official import official

        return official(options.official, options.rounds)
    if options.gpu:
        from step_bench.gpu import gpu

        return gpu(options.rounds, options.json)
    return table(options)


def smoke() -> int:
    """Tiny shape, k = 5, two users, one timed step of the naive form."""
    one = race(Bench(TINY, 5, SEED, users=2), rounds=1)
    say(HEADER + "\n" + line("tiny", one))
    if one.dgrad > GRADIENT_TOLERANCE or not one.agrees:
        say("loss or gradient differ")
        return 1
    return 0 if one.time.median >= SMOKE_TIME and one.memory >= SMOKE_MEMORY else 2


def table(options: argparse.Namespace) -> int:
    """All cells that were asked for, then the rest."""
    report: dict[str, Any] = {"machine": machine(), "seed": SEED, "rounds": options.rounds, "shapes": {}}
    wrong, gates = [], []

    def write() -> None:
        if options.json:
            options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    say(HEADER)
    for name in options.shape or ["tiny", "mid"]:
        cells = report["shapes"].setdefault(name, {})
        for k in options.k or KS:
            bench = Bench(SHAPES[name], k, SEED)
            one = race(bench, options.rounds)
            say(line(name, one))
            cells[str(k)] = one.figures()
            gates += missed(name, one)
            wrong += [] if one.agrees else [f"{name} k={k}: dloss {one.dloss:.1e}, dgrad {one.dgrad:.1e}"]
            if options.same_mode:
                same = race(bench, options.rounds, ours=SAME_MODE)
                say(line(f"{name}, same mode", same))
                cells[str(k)]["same_mode"] = same.figures()
            write()
    if not options.k and not options.no_ladder:
        report["ladder"] = {"shape": "tiny", "k": 5, "rungs": ladder(Bench(TINY, 5, SEED), options.rounds)}
        say("\n| one change at a time, tiny, k = 5 | s | MB | time x | memory x | dloss | dgrad |\n|" + "---|" * 7)
        for rung in report["ladder"]["rungs"]:
            say(
                f"| {rung['form']} | {rung['seconds']:.2f} | {rung['megabytes']:.0f} | {rung['time_ratio']:.2f} | "
                f"{rung['memory_ratio']:.2f} | {rung['dloss']:.1e} | {rung['dgrad']:.1e} |"
            )
            wrong += [f"rung {rung['form']}: {rung['dgrad']:.1e}"] if rung["dgrad"] > GRADIENT_TOLERANCE else []
        write()
    if not options.k:
        report["marginal"] = {name: marginal(SHAPES[name], 5, SEED) for name in options.shape or ["tiny", "mid"]}
        for name, cost in report["marginal"].items():
            say(
                f"\n{name}: a step with 20 negatives costs {cost['ratio']:.2f} of one with 1 (by FLOP "
                f"{cost['ratio_by_flop']:.2f}); a negative costs {cost['of_a_step_with_few']:.2%} of a step with 1, "
                f"{cost['of_a_step_with_many']:.2%} of a step with 20"
            )
            if cost["of_a_step_with_few"] > GATE_MARGINAL:
                gates.append(f"{name}: a negative costs {cost['of_a_step_with_few']:.2%} of a step, gate 2.5%")
    selection = selection_ratio()
    report["selection_ratio"], report["selection"] = selection["ratio"], selection
    say(
        f"\nselection and beta, 32 rows, k = 20: {selection['ratio']:.0f}x ({selection['low']:.0f}-"
        f"{selection['high']:.0f}) the published procedure row by row, "
        f"{selection['ratio_to_kmeans_alone']:.0f}x its KMeans alone"
    )
    if selection["ratio"] < GATE_SELECTION:
        gates.append(f"selection {selection['ratio']:.0f}x, gate {GATE_SELECTION:.0f}x")
    report["gates_missed"] = gates
    write()
    for problem in (*wrong, *gates):
        say(problem)
    if wrong:
        return 1
    return 2 if gates and options.gates else 0


if __name__ == "__main__":
    sys.exit(main())
