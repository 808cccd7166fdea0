"""Does it help a sequential recommender how its item vectors are made of texts? The ladder of TF-LLMER, rung by rung.

    python benchmarks/ladder.py --prepare --texts FOLDER --model FOLDER      vectors of the texts, once
    python benchmarks/ladder.py --texts FOLDER --out ladder.json --jobs 2    the cells, resumable
    python benchmarks/ladder.py --out ladder.json --report                   tables of what is finished
    python benchmarks/ladder.py --toy                                        a toy world: seconds; shows nothing

Random, raw, PCA, PCA + norm, whitening, Rec-PCA, Rec-PCA + norm, for two data sets, two backbones, two kinds of text
vectors and three seeds, through polo's recipes, with softmax over the whole catalogue. Most telling cells first; a cell
that is finished is skipped. ``--seconds`` ends it, and what is finished is kept. Data under $POLO_DATA.
Exit status 1: a cell failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from ladder_bench.cells import BACKBONES, DATA, RUNGS, TEXTS, USES, Cell, Size, cells
from ladder_bench.kept import Kept
from ladder_bench.pool import over
from ladder_bench.tables import NOTE, tables
from ladder_bench.toy import make_toy

from polo import PoloError

#: cold: of Beauty's items a quarter has no more than 5 training interactions; of ML-1M's none has, and a tenth no more
#: than 20
SIZES = {
    "amazon-beauty-2014": Size(epochs=15, batch=2048, lr=2e-3, cold=5),
    "ml-1m": Size(epochs=12, batch=4096, lr=2e-3, cold=20),
}
TOY = Size(epochs=1, batch=64, lr=1e-2, cold=3, dim=4, hidden=4, extra=("data.history=5",))


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, metavar="FOLDER", help="vectors of the texts ($POLO_DATA/vectors)")
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path("ladder.json"))
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, metavar="LIMIT", help="stop after this time")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prepare", action="store_true", help="make the vectors of the texts and stop")
    what.add_argument("--report", action="store_true", help="run nothing; tables of what is finished")
    what.add_argument("--list", action="store_true", help="run nothing; list the cells")
    what.add_argument("--toy", action="store_true", help="a toy world")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="--prepare: a MiniLM; without it lsa alone")
    which = parser.add_argument_group("which cells")
    which.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    which.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    which.add_argument("--vectors", nargs="+", choices=TEXTS, default=list(TEXTS))
    which.add_argument("--uses", nargs="+", choices=USES, default=["adapter"])
    which.add_argument("--rungs", nargs="+", choices=list(RUNGS), default=list(RUNGS))
    which.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    how = parser.add_argument_group("settings, the same for all cells of a file")
    how.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further overrides of every run")
    given = parser.parse_args(words)
    if given.texts is None and not (given.toy or given.report or given.list):
        if "POLO_DATA" not in os.environ:
            parser.error("say where the texts' vectors are: --texts FOLDER, or POLO_DATA")
        given.texts = Path(os.environ["POLO_DATA"]) / "vectors"
    return given


def begin(sizes: dict[str, Size], texts: Path, device: str, scratch: Path) -> Callable[[Cell], dict[str, Any]]:
    """What runs a cell, in a process of its own."""
    import torch
    from ladder_bench.running import Setting, run

    from polo.plugin.load import load_plugins

    torch.set_num_threads(1)
    os.environ["POLO_CACHE"] = str(scratch / "cache")  # a stage that was trained before would have no curve here
    # audits look at the data, which are the same in every cell
    plugins = load_plugins(disable=["polo_audits"])
    return partial(run, setting=Setting(sizes, DATA, texts, device, scratch), plugins=plugins)


def train(given: argparse.Namespace, sizes: dict[str, Size], wanted: Sequence[Cell], kept: Kept) -> int:
    """Runs what is missing; returns how many cells failed."""
    missing = [cell for cell in wanted if cell.key not in kept.cells]
    began, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="ladder-") as scratch:
        work = partial(begin, sizes, given.texts.absolute(), given.device, Path(scratch))
        for number, figures, trouble in over(missing, work, given.jobs, given.seconds):
            cell = missing[number]
            if figures is None:
                failed += 1
                print(f"{cell.key} failed\n{trouble}", file=sys.stderr, flush=True)
                continue
            kept.add(cell, figures)
            gain = float(figures["rows"]["ndcg@10"].mean())
            told = f"{figures['seconds']:.0f} s, loss {figures['loss']:.3f}, NDCG@10 {gain:.4f}"
            print(f"{time.monotonic() - began:6.0f} s  {cell.key}: {told}", flush=True)
    left = sum(cell.key not in kept.cells for cell in wanted)
    print(f"{len(wanted) - left} of {len(wanted)} cells are finished", flush=True)
    return failed


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is missing, then reports."""
    given = options(words)
    wanted = list(cells(given.data, given.backbones, given.vectors, given.uses, given.rungs, given.seeds))
    if given.list:
        print("\n".join(cell.key for cell in wanted))
        return 0
    if given.prepare:
        _prepare(given)
        return 0
    sizes = {name: Size(**{**asdict(size), "extra": (*size.extra, *given.set)}) for name, size in SIZES.items()}
    with tempfile.TemporaryDirectory(prefix="ladder-toy-") as folder:
        if given.toy:
            sizes = dict.fromkeys(sizes, TOY)
            given.texts = make_toy(Path(folder))
        settings = {name: {**asdict(size), "extra": list(size.extra)} for name, size in sizes.items()}
        kept = Kept(given.out, settings if not given.report else None)
        failed = 0 if given.report else train(given, sizes, wanted, kept)
    print(NOTE, *tables(kept.cells, kept.rows), sep="\n\n")
    return 1 if failed else 0


def _prepare(given: argparse.Namespace) -> None:
    from ladder_bench.texts import COLUMNS, prepare

    from polo.plugin.load import load_plugins

    plugins = load_plugins()
    for data in given.data:
        columns = f"columns: {COLUMNS[data]}"
        encoders = {"lsa": f"{{use: lsa, k: 256, {columns}}}"}
        if given.model is not None:
            encoders["minilm"] = f'{{use: text_encoder, model: "{given.model}", max_tokens: 128, {columns}}}'
        for text in [one for one in given.vectors if one in encoders]:
            prepare(data, text, DATA[data], encoders[text], given.texts, plugins)
            print(f"{data}: {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PoloError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
