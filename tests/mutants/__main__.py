"""``python -m tests.mutants``: breaks each area in 20 ways and says which of them no test noticed."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants.areas import AREAS, Area
from tests.mutants.judge import ALL_PASSED, INTERRUPTED, SOME_FAILED, Judge, wait, warm_up
from tests.mutants.mutations import Mutation, choose, mutations

ROOT = Path(__file__).resolve().parents[2]
#: share of the mutants that the tests have to catch
ENOUGH = 0.9


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--area", action="append", choices=AREAS, help="only this one (repeatable)")
    parser.add_argument("--each", type=int, default=20, help="mutants of an area (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default 2)")
    asked = parser.parse_args(words)
    warm_up()
    made = caught = 0
    with tempfile.TemporaryDirectory() as folder:
        judges = [Judge(ROOT, Path(folder) / str(place)) for place in range(asked.jobs)]
        for name in asked.area or AREAS:
            area = AREAS[name]
            broken = _chosen(area, asked.each, f"{asked.seed} {name}")
            began = time.monotonic()
            if wait(judges[0].start(area.tests), 1800) != ALL_PASSED:
                print(judges[0].log()[-4000:])
                sys.exit(f"{name}: the tests fail on the sources as they are; mutants would show nothing")
            allowed = 60 + 4 * (time.monotonic() - began)
            survivors = _survivors(judges, area, broken, allowed)
            made, caught = made + len(broken), caught + len(broken) - len(survivors)
            print(f"{name}: {len(broken) - len(survivors)} of {len(broken)} caught", flush=True)
            for one in survivors:
                print(f"  {one.path}:{one.line}\n    - {one.before}\n    + {one.after}", flush=True)
    print(f"{caught} of {made} caught")
    return 0 if caught >= ENOUGH * made else 1


def _chosen(area: Area, n: int, seed: str) -> list[Mutation]:
    """Every source that is read in the same order gives the same ones."""
    paths = sorted({path for pattern in area.sources for path in ROOT.glob(pattern)})
    every = [one for path in paths for one in mutations(path.relative_to(ROOT), ROOT)]
    numbers = random.Random(seed)
    return choose(every, n, [numbers.random() for _ in every])


def _survivors(judges: Sequence[Judge], area: Area, broken: Sequence[Mutation], allowed: float) -> list[Mutation]:
    free: Queue[Judge] = Queue()
    for judge in judges:
        free.put(judge)

    def survives(mutation: Mutation) -> bool:
        judge = free.get()
        try:
            judge.put(mutation)
            code = wait(judge.start(area.tests), allowed)
            if code not in (ALL_PASSED, SOME_FAILED, INTERRUPTED, None) and code is not None and code > 0:
                sys.exit(f"pytest itself failed ({code}): {judge.log()[-2000:]}")
            return code == ALL_PASSED
        finally:
            judge.restore(mutation)
            free.put(judge)

    with ThreadPoolExecutor(len(judges)) as pool:
        alive = list(pool.map(survives, broken))
    return [one for one, lives in zip(broken, alive, strict=True) if lives]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
