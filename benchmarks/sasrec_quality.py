"""SASRec on MovieLens-100K, the whole catalogue: as good as another library's? Each gets as many settings as the other.

    python benchmarks/sasrec_quality.py --peers FOLDER --out FOLDER    FOLDER/rectools is an environment that has it
    python benchmarks/sasrec_quality.py --against recbole ...          FOLDER/recbole, about an hour

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
FOREIGN: Final = Path(__file__).resolve().parent / "collaborative_bench" / "foreign"
WINDOW: Final = 50
#: epochs and rate; an epoch of rectools holds the last 50 positions of a sequence, one of ours and of RecBole all
OURS: Final = [(4, 1e-3), (12, 1e-3), (4, 3e-3), (12, 3e-3)]
THEIRS: Final = {"rectools": [(40, 1e-3), (120, 1e-3), (40, 3e-3), (120, 3e-3)], "recbole": OURS}
SIZES: Final = {"dim": 64, "layers": 2, "heads": 1, "dropout": 0.2, "window": WINDOW, "k": 10}


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


class Rectools:
    """Trains by rectools, on the same sequences."""

    def __init__(self, python: Path, data: Splits) -> None:
        self._python, self._data = python, data

    def __call__(self, epochs: int, lr: float, split: str) -> dict[str, float]:
        users, lists, last = followed(self._data)
        held = {"held": np.array([last[split][user] for user in users])}
        if split == "test":
            held["shown"] = np.array([last["valid"][user] for user in users])
        sizes = {**SIZES, "sequences": 32, "negatives": 64, "lr": lr, "epochs": epochs}
        told = answer(self._python, "rectools_sasrec.py", lists, held, sizes)
        return {"recall@10": told["hit"], "ndcg@10": told["ndcg"], "users": len(users)}


class RecBole:
    """Trains by RecBole, on the same sequences; once for each rate, since its rate is constant."""

    def __init__(self, python: Path, data: Splits) -> None:
        self._python, self._data = python, data
        self._told: dict[float, Any] = {}

    def __call__(self, epochs: int, lr: float, split: str) -> dict[str, float]:
        users, lists, last = followed(self._data)
        if lr not in self._told:
            whole = [np.append(one, [last["valid"][user], last["test"][user]])
                     for user, one in zip(users, lists, strict=True)]  # fmt: skip
            sizes = {**SIZES, "batch": 512, "lr": lr, "epochs": [e for e, rate in THEIRS["recbole"] if rate == lr]}
            self._told[lr] = answer(self._python, "recbole_sasrec.py", whole, {}, sizes)
        told = self._told[lr][str(epochs)][split]
        return {"recall@10": told["hit"], "ndcg@10": told["ndcg"], "users": len(users)}


PEERS: Final = {"rectools": Rectools, "recbole": RecBole}


def followed(data: Splits) -> tuple[list[int], list[np.ndarray], dict[str, dict[int, int]]]:
    """Users with a validation and a test row, what they took before, and by split which item is asked for."""
    last = {name: dict(zip(rows.user.tolist(), rows.target.tolist(), strict=True))
            for name, rows in (("valid", data.valid), ("test", data.test))}  # fmt: skip
    named = data.sequences.user.tolist()
    kept = [s for s, user in enumerate(named) if user in last["valid"] and user in last["test"]]
    return [named[s] for s in kept], [data.sequences[s] for s in kept], last


def answer(python: Path, program: str, lists: Sequence[np.ndarray], more: Mapping[str, Any], sizes: object) -> Any:
    """What a program of another environment prints."""
    offsets = np.cumsum([0, *(len(one) for one in lists)])
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "data.npz", items=np.concatenate(lists), offsets=offsets, **more)
        words = [str(python), str(FOREIGN / program), str(Path(place) / "data.npz"), json.dumps(sizes)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place)
    if ended.returncode:
        raise RuntimeError(f"{program} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def main(words: Sequence[str] | None = None) -> int:
    """The settings on validation, the best of each on the test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--against", choices=list(PEERS), default="rectools")
    parser.add_argument("--out", type=Path, default=Path("runs/sasrec-quality"))
    given = parser.parse_args(words)
    told: dict[str, Any] = {"ours": [], "theirs": []}

    def note(side: str, line: Mapping[str, Any]) -> None:
        told[side].append(line)
        print(side, json.dumps(line), flush=True)

    data: Splits | None = None
    for epochs, lr in OURS:
        figures, data = ours(given.out, epochs, lr, "valid", 0)
        note("ours", {"epochs": epochs, "lr": lr, "split": "valid"} | figures)
    assert data is not None
    theirs = PEERS[given.against](given.peers.resolve() / given.against / "bin" / "python", data)
    for epochs, lr in THEIRS[given.against]:
        note("theirs", {"epochs": epochs, "lr": lr, "split": "valid"} | theirs(epochs, lr, "valid"))
    for side in ("ours", "theirs"):
        best = max(told[side], key=lambda line: line["ndcg@10"])
        epochs, lr = best["epochs"], best["lr"]
        figures = ours(given.out, epochs, lr, "test", 0)[0] if side == "ours" else theirs(epochs, lr, "test")
        note(side, {"epochs": epochs, "lr": lr, "split": "test"} | figures)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "quality.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
