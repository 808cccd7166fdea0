"""Does HR@1 fall as negatives are added, and does DynamicPO (arXiv 2605.00327) prevent it?

    python benchmarks/collapse.py --cpu                  ML-100K, k = 1 5 19, DMPO and S-DPO, 2 seeds: 24 short runs
    python benchmarks/collapse.py --gpu                  both sets, k = 1 3 5 10 15 19, with MPPO, 3 seeds: 216 runs
    python benchmarks/collapse.py --smoke                a toy world: seconds; checks the machinery, shows nothing
    python benchmarks/collapse.py --report --out FOLDER  tables and words of what is finished so far

DMPO, S-DPO and MPPO, each plain (uniform negatives, fixed beta) and with DynamicPO (boundary negatives, dual-margin
beta), everything else equal, all from one SFT stage for each data set and seed: the stage cache sees to that, as long
as neither settings nor polo's sources change in between. Finished cells are skipped and an interrupted one goes on, so
the same command resumes. Processes with different ``--seeds`` or ``--data`` may share an output folder.

Output folder: ``settings.json``, ``cells/``, ``runs/``, ``results.jsonl``, ``table.md``, ``conclusions.md`` and, with
matplotlib, ``collapse-DATA.svg`` and ``.png``. Exit status 1: a cell failed; the others are reported.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collapse_study.cells import DATA, VARIANTS, Settings, cells
from collapse_study.figure import draw
from collapse_study.running import Runner
from collapse_study.summary import read
from collapse_study.words import conclusions, table

from polo import InputError, PoloError
from polo.plugin.load import load_plugins
from polo.store.files import write_bytes, write_json
from polo.train.interrupt import Interrupted

#: what a profile sets unless an option says otherwise
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "cpu": {
        "data": ["ml100k"], "objectives": ["dmpo", "sdpo"], "ks": [1, 5, 19], "seeds": [0, 1],
        "sft_steps": 100, "sft_lr": 1e-3, "sft_batch": 128,
        "steps": 150, "lr": 3e-3, "batch": 128, "clip": 1.0, "valid_rows": 400, "tokens_per_pass": 8192,
    },
    # 43 M parameters at 8,192 tokens of vocabulary: 12 layers of 3.2 M and 4.2 M tied embeddings
    "gpu": {
        "data": ["ml100k", "lastfm"], "objectives": ["dmpo", "sdpo", "mppo"], "ks": [1, 3, 5, 10, 15, 19],
        "seeds": [0, 1, 2],
        "base": "{use: tiny_lm, hidden: 512, layers: 12, heads: 8, lr: 1e-3, dropout: 0.1, batch_tokens: 8192}",
        "sft_steps": 400, "sft_lr": 5e-4, "sft_batch": 128,
        "steps": 400, "lr": 5e-4, "batch": 128, "clip": 1.0, "valid_rows": 1000, "tokens_per_pass": 131072,
    },
    "smoke": {
        "data": ["demo"], "objectives": ["dmpo", "sdpo"], "ks": [1, 4], "seeds": [0],
        "base": "{use: tiny_lm, hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 1}",
        "sft_steps": 3, "sft_lr": 1e-3, "sft_batch": 16,
        "steps": 4, "lr": 1e-3, "batch": 16, "clip": 1.0, "valid_rows": 20, "tokens_per_pass": 8192,
        "set": ["data={use: demo, items: 120, users: 60, shortest: 8, longest: 12}", "candidates.n=10"],
    },
}  # fmt: skip


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with the profile's values where nothing was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    profile = parser.add_mutually_exclusive_group()
    for name in PROFILES:
        profile.add_argument(f"--{name}", dest="profile", action="store_const", const=name)
    parser.set_defaults(profile="cpu")
    parser.add_argument("--out", type=Path, help="output folder (runs/collapse-PROFILE)")
    parser.add_argument("--report", action="store_true", help="run nothing; report what is finished")
    parser.add_argument("--list", action="store_true", help="run nothing; list the cells and which are finished")
    which = parser.add_argument_group("which cells")
    which.add_argument("--data", nargs="+", choices=list(DATA))
    which.add_argument("--objectives", nargs="+", metavar="LOSS", help="dmpo, sdpo, mppo, or any other loss")
    which.add_argument("--ks", nargs="+", type=int, metavar="K")
    which.add_argument("--seeds", nargs="+", type=int, metavar="SEED")
    which.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    how = parser.add_argument_group("settings, the same for all cells of an output folder")
    how.add_argument("--base", help="the base model, as a YAML mapping for policy.base")
    for name in ("sft-steps", "sft-batch", "steps", "batch", "valid-rows", "tokens-per-pass"):
        how.add_argument(f"--{name}", type=int, metavar="N")
    for name in ("sft-lr", "lr", "clip"):
        how.add_argument(f"--{name}", type=float, metavar="X")
    how.add_argument("--beta", type=float, default=1.0, metavar="X", help="fixed beta, and base of the dual-margin one")
    how.add_argument("--margin", type=float, default=6.0, metavar="X", help="margin of the dual-margin beta, in nats")
    how.add_argument("--pool", default="uniform", metavar="SAMPLER", help="what draws the k negatives")
    how.add_argument("--rows", type=int, metavar="N", help="test rows (all); one seed only")
    how.add_argument("--set", nargs="+", metavar="KEY=VALUE", help="further overrides of every run")
    given = parser.parse_args(words)
    for name, value in PROFILES[given.profile].items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.out = given.out or Path("runs") / f"collapse-{given.profile}"
    return given


def settings_of(given: argparse.Namespace) -> Settings:
    """The settings among the options."""
    return Settings(
        base=given.base or "", sft_steps=given.sft_steps, sft_lr=given.sft_lr, sft_batch=given.sft_batch,
        steps=given.steps, lr=given.lr, batch=given.batch, clip=given.clip, beta=given.beta, margin=given.margin,
        pool=given.pool, valid_rows=given.valid_rows, rows=given.rows, tokens_per_pass=given.tokens_per_pass,
        extra=tuple(given.set or ()),
    )  # fmt: skip


def keep_settings(out: Path, settings: Settings) -> None:
    """Writes ``settings.json``, or compares with the one that is there.

    Raises:
        InputError: the folder holds cells with other settings.
    """
    path = out / "settings.json"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, settings.plain())
        return
    before, now = json.loads(path.read_text("utf-8")), settings.plain()
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        said = ", ".join(f"{name} {before.get(name)!r} there, {now[name]!r} here" for name in differing)
        raise InputError(f"the cells in this folder have other settings: {said}", where=str(path),
                         fix="choose another --out, or give the same settings")  # fmt: skip


def report(out: Path) -> None:
    """Writes results.jsonl, table.md, conclusions.md and the figure; prints what was found."""
    groups = read(out)
    if not groups:
        print("no cell is finished yet")
        return
    records = [record for group in groups for record in group.records]
    write_bytes(out / "results.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())
    settings = (out / "settings.json").read_text("utf-8").strip()
    text, said = table(groups), conclusions(groups)
    write_bytes(out / "table.md", f"{text}\nSettings: `{' '.join(settings.split())}`\n".encode())
    write_bytes(out / "conclusions.md", ("\n\n".join(said) + "\n").encode())
    print(text)
    print("\n\n".join(said) + "\n")
    figures = draw(groups, out)
    print(f"figures: {', '.join(map(str, figures))}" if figures else "no figure: matplotlib is not installed")
    print(f"results: {out}")


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is missing, then reports."""
    given = options(words)
    settings, failed = settings_of(given), 0
    wanted = cells(given.data, given.seeds, given.objectives, given.ks, given.variants)
    if not given.report:
        keep_settings(given.out, settings)
        runner = Runner(given.out, settings, load_plugins())
        if given.list:
            for cell in wanted:
                print("done" if runner.record_of(cell).is_file() else "    ", cell.key)
            return 0
        for number, cell in enumerate(wanted, start=1):
            if runner.record_of(cell).is_file():
                continue
            began, cpu = time.monotonic(), time.process_time()
            print(f"[{number}/{len(wanted)}] {cell.key}", flush=True)
            try:
                found = runner.run(cell)
            except Interrupted:
                print("stopped; a checkpoint was written, and the same command goes on from there")
                return 130
            except InputError:
                raise
            except PoloError as error:
                failed += 1
                print(f"  failed: {error}", flush=True)
                continue
            hit, start = (found[f"{system}/hit_ratio@1"]["value"] for system in ("model", "sft"))
            took = f"{time.process_time() - cpu:.0f} s CPU, {time.monotonic() - began:.0f} s"
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
            print(f"  HR@1 {hit:.4f} (SFT {start:.4f}); {took}, peak {memory:.0f} MB", flush=True)
    report(given.out)
    if failed:
        print(f"{failed} cells failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PoloError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)
