"""Interactions that lie on the disk (``mapped: true``): time to start and memory, by their number; a run on them.

    python benchmarks/rows_on_disk.py [--events 1000000 2000000 5000000 10000000] [--users 100000] [--items 20000]
        [--policies mf sasrec] [--steps 50] [--in-memory 1000000] [--json FILE]

Events are made here (a user drawn evenly, an item by Zipf's law, a time drawn evenly, in no order) and written to a
Parquet file. Each measurement is a process of its own: the source loaded the first time (the file is read, sorted and
written), loaded again, and `polo run` with some steps of a policy and 1,000 rows evaluated. Memory is the highest
RssAnon of the process, looked at fifty times a second: what it holds that no file holds. Pages of mapped files,
which the system takes back when it needs them, do not count; the highest VmRSS, which counts them, stands beside it.
Seconds are of the clock and of the CPU, which differ on a machine that does other things too. The growth is the
exponent of a power law fitted to the measurements.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: events that are made and written at a time
CHUNK = 1_000_000
LOAD = """
import sys, time
import polo_datasets.mapped.source
from pathlib import Path
from polo import Context
from polo_datasets.options import RowsOptions
from polo_datasets.rows import RowsSource

options = RowsOptions(form="interactions", interactions=sys.argv[1], items=sys.argv[2], mapped=sys.argv[4] == "mapped")
began, used = time.monotonic(), time.process_time()
splits = RowsSource(options, Context(seed=0, cache=Path(sys.argv[3]), build=None)).load()
print(len(splits.train), time.monotonic() - began, time.process_time() - used)
"""
RECIPE = """\
polo: 1
name: on_disk
data: {{use: rows, form: interactions, interactions: {events}, items: {items}, mapped: {mapped}}}
candidates: {{n: 100}}
policy: {policy}
reference: none
stages:
  prefer:
    sampler: {{use: uniform, k: 20}}
    loss: softmax
    steps: {steps}
    lr: 1e-3
    batch: 512
    tokens_per_pass: 65536
    validate: {{rows: 500}}
evaluate: {{evaluators: [{{use: ndcg, k: [10]}}], baselines: [popularity], rows: 1000}}
"""
POLICIES = {"mf": "{use: mf, dim: 16}", "sasrec": "{use: sasrec, dim: 16, layers: 1, heads: 1}"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 2_000_000, 5_000_000, 10_000_000])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--policies", nargs="*", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--in-memory", type=int, default=0, help="measure as many events without `mapped` too")
    parser.add_argument("--folder", type=Path, help="where files are made; any disk with room")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for count in options.events:
            found[str(count)] = measured(Path(name) / str(count), count, options, "mapped")
            show(str(count), found[str(count)])
        for count in [options.in_memory] if options.in_memory else []:
            found["in memory"] = {
                "events": count, **measured(Path(name) / "memory", count, options, "in memory")
            }  # fmt: skip
            show(f"in memory, {count}", found["in memory"])
    growth = exponents({int(count): one for count, one in found.items() if count.isdigit()})
    print("growth with the events:", ", ".join(f"{name} {value:.2f}" for name, value in growth.items()))
    if options.json is not None:
        options.json.write_text(json.dumps({"measured": found, "growth": growth}, indent=2) + "\n")


def measured(folder: Path, count: int, options: argparse.Namespace, way: str) -> dict[str, Any]:
    """Every figure for one number of events."""
    folder.mkdir()
    events, items, cache = folder / "events.parquet", folder / "items.csv", folder / "cache"
    write_events(events, count, options.users, options.items)
    items.write_text("\n".join(["item,title", *(f"{i},Title {i}" for i in range(options.items))]))
    found: dict[str, Any] = {}
    words = [sys.executable, "-c", LOAD, str(events), str(items), str(cache), way]
    for name in ("first", "again"):
        said, memory = watched(words, {})
        rows, seconds, used = said.split()
        found |= {"rows": int(rows), f"{name}_seconds": float(seconds)}
        found |= {f"{name}_{kind}": value for kind, value in memory.items()} | {f"{name}_cpu": float(used)}
    for policy in options.policies:
        recipe = folder / f"{policy}.yaml"
        recipe.write_text(
            RECIPE.format(
                events=events, items=items, mapped=str(way == "mapped").lower(), policy=POLICIES[policy],
                steps=options.steps,
            )
        )  # fmt: skip
        began = time.monotonic()
        run = [sys.executable, "-m", "polo", "run", str(recipe), f"out={folder / 'runs'}"]
        _, memory = watched(run, {"POLO_CACHE": str(cache)})
        found[f"{policy}_seconds"] = time.monotonic() - began
        found |= {f"{policy}_{kind}": value for kind, value in memory.items()}
    return found


def write_events(path: Path, count: int, users: int, items: int) -> None:
    """``count`` events in no order."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    share = np.cumsum(1 / np.arange(1, items + 1))
    schema = pa.schema([("user", pa.int64()), ("item", pa.int64()), ("timestamp", pa.int64())])
    with parquet.ParquetWriter(path, schema) as out:
        for start in range(0, count, CHUNK):
            n = min(CHUNK, count - start)
            drawn = np.searchsorted(share, rng.random(n) * share[-1])
            made = [rng.integers(0, users, n), drawn, rng.integers(0, 10**8, n)]
            out.write_table(pa.table(made, schema=schema))


def watched(words: Sequence[str], environment: dict[str, str]) -> tuple[str, dict[str, float]]:
    """What a program says, and what it took.

    That is ``anon`` and ``resident``, the most bytes it held, of its own and with pages of files, and ``cpu`` seconds.
    """
    most: dict[str, float] = {"anon": 0, "resident": 0}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as wrong:
        process = subprocess.Popen(words, stdout=said, stderr=wrong, env={**os.environ, **environment})
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                for name, key in (("anon", "RssAnon"), ("resident", "VmRSS")):
                    most[name] = max(most[name], 1024 * int(lines[key].split()[0]))
            except (OSError, KeyError):  # it ended at this moment
                pass
            time.sleep(0.02)
        said.seek(0)
        wrong.seek(0)
        if process.returncode:
            raise SystemExit(wrong.read())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        most["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return said.read(), most


def show(name: str, one: dict[str, Any]) -> None:
    """A line of figures for people."""
    mega = {key: value / 2**20 for key, value in one.items() if key.endswith(("_anon", "_resident"))}
    print(f"{name} events, {one['rows']:,} training rows")
    for key in [key.removesuffix("_seconds") for key in one if key.endswith("_seconds")]:
        print(
            f"  {key:<8} {one[f'{key}_seconds']:6.1f} s ({one[f'{key}_cpu']:.1f} of CPU), "
            f"memory {mega[f'{key}_anon']:,.0f} MiB ({mega[f'{key}_resident']:,.0f} with files)", flush=True,
        )  # fmt: skip


def exponents(found: dict[int, dict[str, Any]]) -> dict[str, float]:
    """For each figure b of the least-squares line log(figure) = a + b log(events); none for one number of events.

    Example:
        >>> exponents({10: {"t": 1.0}, 100: {"t": 10.0}})
        {'t': 1.0}
    """
    if len(found) < 2:
        return {}
    x = [math.log(count) for count in found]
    middle = sum(x) / len(x)
    out = {}
    for name in next(iter(found.values())):
        y = [math.log(one[name]) for one in found.values()]
        slope = sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)
        out[name] = round(slope, 3)
    return out


if __name__ == "__main__":
    main()
