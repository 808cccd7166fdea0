"""Everything that wants a GPU, in parts, into one JSON file; ``benchmarks/gpu.sh`` is the same with the right path.

    benchmarks/gpu.sh --out FILE                                   every part, at most ten minutes each
    benchmarks/gpu.sh --parts step,sync --seconds 150 --out FILE   some, each within 150 seconds
    benchmarks/gpu.sh --toy                                        every part at toy size, on a CPU too: a minute
    benchmarks/gpu.sh --toy --device cuda                          the same on the GPU: does everything run there?

Cells that the file has are not measured again, so a broken-off run goes on. Weights are random, at the sizes of
Llama-3.2-1B and Llama-3.1-8B; nothing is downloaded. Exit status 1: a cell failed; 2: there is no such device.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore", message="Number of distinct clusters")
sys.path[:0] = [str(Path(__file__).resolve().parent)]

import torch  # noqa: E402 - after the path
from gpu_bench.report import Report, Skipped, TimeUp, tidy  # noqa: E402

#: modules of the parts, in the order in which they run
PARTS = {
    "policies": "gpu_bench.families", "sync": "gpu_bench.syncs", "step": "gpu_bench.steps",
    "topk": "gpu_bench.search", "scoring": "gpu_bench.lists", "compile": "gpu_bench.compiling",
    "nf4": "gpu_bench.quantised", "two": "gpu_bench.processes",
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of: " + ", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=600, help="most seconds of a part")
    parser.add_argument("--out", type=Path, help="the report, a JSON file")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda where there is one, cpu with --toy")
    given = parser.parse_args(argv)
    parts = given.parts.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    device = given.device or ("cpu" if given.toy else "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        print("torch sees no CUDA device; --toy runs every part at toy size on a CPU", file=sys.stderr)
        return 2
    if device == "cpu" and not given.toy:
        print("these sizes are for a GPU; a CPU runs --toy", file=sys.stderr)
        return 2
    if device == "cpu":
        torch.set_num_threads(1)
    report = Report(given.out, device, toy=given.toy)
    for part in parts:
        began = time.monotonic()
        try:
            module = import_module(PARTS[part])
            gc.freeze()  # what is imported stays; the clocks collect garbage before they start
            with report.limited(given.seconds):
                module.part(report)
        except TimeUp:
            print(f"{part}: its {given.seconds:g} seconds are over; run the same again for the rest", flush=True)
        except Skipped as reason:
            print(f"{part}: skipped: {reason}", flush=True)
        except Exception:  # the other parts have their turn
            traceback.print_exc()
            report.failed.append(part)
        tidy()
        print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    if report.failed:
        print(f"failed: {', '.join(report.failed)}", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
