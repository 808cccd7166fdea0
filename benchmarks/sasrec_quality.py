"""SASRec on MovieLens-100K, the whole catalogue: as good as that of rectools? Each gets as many settings as the other.

    python benchmarks/sasrec_quality.py --peers FOLDER --out FOLDER    FOLDER/rectools is an environment that has it

Both train on each user's films but the last two, see at most 50 films, and are asked for the next to last (validation)
and, shown that one as well, for the last (test): recall and NDCG at 10 among all films that the user has not taken.
The setting that is best by NDCG@10 on validation is measured on the test. `nox -s peers` makes the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import polo
from polo.data import Splits

RECIPE: Final = Path(__file__).resolve().parents[1] / "recipes" / "ml100k_sasrec.yaml"
PROGRAM: Final = Path(__file__).resolve().parent / "collaborative_bench" / "foreign" / "rectools_sasrec.py"
WINDOW: Final = 50
#: epochs and rate; an epoch of rectools holds the last 50 positions of a sequence, one of ours all
OURS: Final = [(4, 1e-3), (12, 1e-3), (4, 3e-3), (12, 3e-3)]
THEIRS: Final = [(40, 1e-3), (120, 1e-3), (40, 3e-3), (120, 3e-3)]


def ours(out: Path, epochs: int, lr: float, split: str, seed: int) -> tuple[dict[str, float], polo.Splits]:
    """Trains by polo; figures, and the data."""
    result = polo.run(RECIPE, {
        "candidates": {"n": "all"}, "data.history": WINDOW, "stages.prefer.epochs": epochs, "stages.prefer.lr": lr,
        "stages.prefer.validate": {"every": 0, "rows": 50}, "stages.prefer.select": "last", "evaluate.split": split,
        "evaluate.evaluators": [{"use": "recall", "k": [10]}, {"use": "ndcg", "k": [10]}],
        "evaluate.baselines": [], "seed": seed, "out": str(out / "runs"), "device": "cpu",
    }, quiet=True)  # fmt: skip
    found = result.metrics["model"]
    return {"recall@10": found["recall@10"], "ndcg@10": found["ndcg@10"]}, result.splits


def theirs(python: Path, data: Splits, epochs: int, lr: float, split: str) -> dict[str, float]:
    """Trains by rectools, on the same sequences."""
    last = {name: dict(zip(rows.user.tolist(), rows.target.tolist(), strict=True))
            for name, rows in (("valid", data.valid), ("test", data.test))}  # fmt: skip
    users = [s for s, user in enumerate(data.sequences.user.tolist()) if user in last["valid"] and user in last["test"]]
    lists = [data.sequences[s] for s in users]
    names = data.sequences.user[users].tolist()
    arrays = {
        "items": np.concatenate(lists),
        "offsets": np.cumsum([0, *(len(one) for one in lists)]),
        "held": np.array([last[split][user] for user in names]),
    }
    if split == "test":
        arrays["shown"] = np.array([last["valid"][user] for user in names])
    sizes = {"dim": 64, "layers": 2, "heads": 1, "dropout": 0.2, "window": WINDOW, "sequences": 32,
             "negatives": 64, "lr": lr, "epochs": epochs, "k": 10}  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "data.npz", **arrays)
        words = [str(python), str(PROGRAM), str(Path(place) / "data.npz"), json.dumps(sizes)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place)
    if ended.returncode:
        raise RuntimeError(f"rectools ended with {ended.returncode}: {ended.stderr[-2000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    return {"recall@10": told["hit"], "ndcg@10": told["ndcg"], "users": len(users)}


def main(words: Sequence[str] | None = None) -> int:
    """The settings on validation, the best of each on the test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/sasrec-quality"))
    given = parser.parse_args(words)
    python = given.peers.resolve() / "rectools" / "bin" / "python"
    told: dict[str, Any] = {"ours": [], "theirs": []}

    def note(side: str, line: Mapping[str, Any]) -> None:
        told[side].append(line)
        print(side, json.dumps(line), flush=True)

    data: Splits | None = None
    for epochs, lr in OURS:
        figures, data = ours(given.out, epochs, lr, "valid", 0)
        note("ours", {"epochs": epochs, "lr": lr, "split": "valid"} | figures)
    assert data is not None
    for epochs, lr in THEIRS:
        note("theirs", {"epochs": epochs, "lr": lr, "split": "valid"} | theirs(python, data, epochs, lr, "valid"))
    for side in ("ours", "theirs"):
        best = max(told[side], key=lambda line: line["ndcg@10"])
        epochs, lr = best["epochs"], best["lr"]
        figures = (
            ours(given.out, epochs, lr, "test", 0)[0] if side == "ours" else theirs(python, data, epochs, lr, "test")
        )
        note(side, {"epochs": epochs, "lr": lr, "split": "test"} | figures)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "quality.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
