"""What telling trackers and plugins of a step costs, on this machine: microseconds of a line of metrics.

    python benchmarks/events.py             a table, in Markdown: half a minute
    python benchmarks/events.py --gate      exit status 2 if a step without trackers pays 50 microseconds or more

One thread, process time, the median of rounds. A line is one that a run wrote (15 figures). ``nobody`` is a run without
trackers, whose plugins are polo's own; ``a plugin`` implements the event and does nothing; ``csv`` is the tracker that
needs no library. Beside them stands what a step pays anyhow: its line in metrics.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from polo.context import Choice, Context
from polo.plugin.load import Plugins, load_plugins
from polo.run.watching import Watch
from polo.store.runfolder import RunFolder

#: microseconds that a step without trackers may pay
GATE = 50.0
STEPS, ROUNDS = 2000, 15
LISTENER = "from polo import hookimpl\n@hookimpl\ndef polo_step_ended(step): pass\n"
NAMES = ["loss", "beta", "epoch", "grad_norm", "learning_rate", "seconds", "logps/chosen", "logps/rejected", "pairs",
         "rewards/accuracies", "rewards/chosen", "rewards/margins", "rewards/rejected", "kept", "progress"]  # fmt: skip


def line(step: int) -> dict[str, Any]:
    """A line as the loop makes it."""
    return {"stage": "prefer", "step": step, **{name: 0.1 * step + at for at, name in enumerate(NAMES)}}


def microseconds(told: Callable[[Mapping[str, Any]], object]) -> float:
    """Of one line, the median of rounds."""
    lines = [line(step) for step in range(STEPS)]
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for one in lines:
            told(one)
        rounds.append((time.process_time() - began) / STEPS * 1e6)
    return statistics.median(rounds)


def watching(plugins: Plugins, trackers: list[tuple[str, Any]], run: Path) -> Callable[[Mapping[str, Any]], object]:
    """What the loop calls with a line."""
    watch = Watch(plugins, trackers)
    watch.started(run, {"seed": 0})
    return lambda one: watch.line("prefer", one)


def measured(place: Path) -> dict[str, float]:
    """Microseconds of a step by who is told."""
    own = load_plugins(only=())
    (place / "listener.py").write_text(LISTENER)
    listening = load_plugins(files=[place / "listener.py"], only=())
    entry = own.catalogue.find("tracker", "csv")
    options = entry.load_options()
    assert options is not None
    context = Context(seed=0, cache=place, build=lambda choice: choice)
    csv = entry.load_build()(Choice("tracker", "csv", options()).options, context)
    return {
        "nobody": microseconds(watching(own, [], place)),
        "a plugin": microseconds(watching(listening, [], place)),
        "csv": microseconds(watching(own, [("csv", csv)], place)),
        "metrics.jsonl, which each step pays anyhow": microseconds(RunFolder(place).log),
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", action="store_true", help="exit status 2 where a step without trackers pays too much")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="polo-events-") as place:
        found = measured(Path(place))
    print("| told | microseconds a step |\n|---|---:|")
    for name, figure in found.items():
        print(f"| {name} | {figure:.1f} |")
    if asked.gate and found["nobody"] >= GATE:
        sys.exit(2)


if __name__ == "__main__":
    main()
