"""DrRL, SL, BSL, CCL and BPR with one search budget each, on sets of items; and DrRL and SL with false negatives.

DrRL comes twice: with learnt thresholds (`drrl`) and with each row's exact one (`drrl_exact`).

    python benchmarks/drrl.py --out FOLDER --json out.json      about 35 minutes of one CPU core
    python benchmarks/drrl.py --out FOLDER --backbones mf       half of it
    python benchmarks/drrl.py --out FOLDER --toy                seconds; checks the machinery, shows nothing
    python benchmarks/drrl.py --out FOLDER --report             the tables of what is there

Each loss gets as many settings as every other (a scrambled Halton sequence over ranges in drrl_study/cells.py), trained
for the same number of epochs with seed 0 and measured by NDCG@20 on the validation split. The best one is trained
with three other seeds and measured on the test split: the whole catalogue, training items masked. For the study of
false negatives a share of the negatives is replaced by items that the user took in training; settings are those found
without. Fewer settings are the first ones of more, each cell is written down when it is done and skipped the next time,
so the same command, or one with more --draws, goes on after a stop.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from drrl_study.cells import BACKBONES, SEARCHED, Cell, Size, measured, searched, settings
from drrl_study.running import FIGURES, Runner
from drrl_study.summary import noise_line, table_line

#: losses that are trained with false negatives, and the backbone
NOISY = ("drrl", "sl")
#: of --toy
TOY = Size(draws=2, epochs=1, seeds=2, negatives=4, rates=(0.5,))


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/drrl"))
    parser.add_argument("--data", choices=["amazonBeauty", "amazonElectronics", "Gowalla"], default="amazonBeauty")
    parser.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--losses", nargs="+", choices=list(SEARCHED), default=list(SEARCHED))
    parser.add_argument(
        "--noise", nargs="*", choices=list(BACKBONES), default=["mf"], help="backbones; none: leave out"
    )
    parser.add_argument("--draws", type=int, default=Size.draws)
    parser.add_argument("--epochs", type=int, default=Size.epochs)
    parser.add_argument("--seeds", type=int, default=Size.seeds)
    parser.add_argument("--rates", nargs="+", type=float, default=list(Size.rates), help="shares of false negatives")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--toy", action="store_true")
    return parser.parse_args(words)


def write_toy(folder: Path) -> Path:
    """Twenty users who each take nine of forty items."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    taken = [rng.choice(40, 9, replace=False).tolist() for _ in range(20)]
    for name, part in (("train", slice(6)), ("valid", slice(6, 7)), ("test", slice(7, 9))):
        lines = [" ".join(map(str, [user, *items[part]])) for user, items in enumerate(taken)]
        with gzip.open(folder / f"{name}.txt.gz", "wt") as file:
            file.write("\n".join(lines))
    return folder


def main(words: Sequence[str] | None = None) -> int:
    """Reads the command line; returns the exit status."""
    import torch

    from polo.plugin.load import load_plugins

    torch.set_num_threads(1)
    given = options(words)
    size = TOY if given.toy else Size(given.draws, given.epochs, given.seeds, rates=tuple(given.rates))
    words = (f"data.path={json.dumps(str(write_toy(given.out / 'data')))}",) if given.toy else ()
    runner = Runner(given.out, size, given.data, load_plugins(), words)
    report: dict[str, Any] = {"data": given.data, "draws": size.draws, "epochs": size.epochs, "rows": [], "noise": []}

    def run(cell: Cell) -> dict[str, Any] | None:
        there = runner.record(cell).is_file()
        if given.report and not there:
            return None
        facts = dict(runner.run(cell))
        if not there:
            print(f"{cell.key}: NDCG@20 {facts['ndcg@20']:.4f}, {facts['cpu_seconds']:.0f} s CPU", flush=True)
        return facts

    for backbone in given.backbones:
        chosen: dict[str, int] = {}
        lines: dict[str, list[Cell]] = {}
        for loss in given.losses:
            tried = [(facts["ndcg@20"], -cell.draw) for cell in searched(backbone, loss, size) if (facts := run(cell))]
            if len(tried) < size.draws:
                continue
            chosen[loss] = -max(tried)[1]
        for loss, draw in chosen.items():
            lines[loss] = [cell for cell in measured(backbone, loss, draw, size) if run(cell)]
        for loss, cells in lines.items():
            if len(cells) == size.seeds:
                report["rows"].append(
                    {"backbone": backbone, "loss": loss, "setting": settings(loss, size.draws)[chosen[loss]]}
                    | table_line([runner.users(cell) for cell in cells], FIGURES)
                )
        if backbone in given.noise:
            for loss in [one for one in NOISY if one in chosen]:
                for rate in size.rates:
                    cells = [cell for cell in measured(backbone, loss, chosen[loss], size, rate) if run(cell)]
                    if len(cells) == size.seeds and len(lines[loss]) == size.seeds:
                        clean, dirty = ([runner.users(one) for one in some] for some in (lines[loss], cells))
                        line = noise_line(clean, dirty, "ndcg@20")
                        report["noise"].append({"backbone": backbone, "loss": loss, "rate": rate} | line)
    print(json.dumps(report, indent=1))
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
