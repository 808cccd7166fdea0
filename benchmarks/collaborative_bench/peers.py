"""Epochs beside those of other libraries, which run in environments of their own. Knows their programs, not their code.

Both forms train the same rows of the same data, with models of the same size. What cannot be the same: whose random
numbers are drawn, and how an optimiser is built; so they agree where both have as many rows.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from collaborative_bench.data import World
from collaborative_bench.measured import THREADS, Figure
from collaborative_bench.ours import trained
from collaborative_bench.published import Sizes
from collaborative_bench.works import electronics
from polo import PAD, Context, IntArray, ItemTable, Known, Ragged, Rows, Sequences, Splits
from polo.testing import context
from polo.train.objective import Objective
from polo_backbones.mf import MF
from polo_backbones.options import MFOptions, SASRecOptions
from polo_backbones.sasrec import SASRec
from polo_drrl.options import LossOptions, SoftmaxOptions
from polo_drrl.pointwise import Bpr
from polo_drrl.softmax import Softmax
from polo_preference.options.samplers import UniformOptions
from polo_preference.samplers.uniform import Uniform

#: users of Amazon Beauty whose sequences are trained on, and items that a row shows at most
USERS, WINDOW = 2_000, 50
#: both libraries' models of sequences, in their words
_SHAPE = {"dim": 64, "layers": 2, "heads": 2, "dropout": 0.2, "window": WINDOW, "lr": 1e-3}
_RECBOLE = {
    "hidden_size": 64, "inner_size": 64, "n_layers": 2, "n_heads": 2, "hidden_dropout_prob": 0.2,
    "attn_dropout_prob": 0.2, "hidden_act": "relu", "loss_type": "BPR", "MAX_ITEM_LIST_LENGTH": WINDOW,
    "train_batch_size": 2048, "learning_rate": 1e-3,
}  # fmt: skip
#: sequences of a batch where a library counts these
_TOGETHER = 128
_FOREIGN = Path(__file__).parent / "foreign"


@dataclass(frozen=True)
class Peer:
    """A line of the table.

    Args:
        says: what is done, and against what, in words.
        environment: folder of the environment, among those that are told.
        program: of :mod:`collaborative_bench.foreign`.
        sizes: what the program is told.
        data: the arrays that it reads.
        ours: gives what is timed, and how many rows it trains.
    """

    says: tuple[str, str]
    environment: str
    program: str
    sizes: Mapping[str, Any]
    data: Callable[[], Mapping[str, IntArray]]
    ours: Callable[[], tuple[Callable[[], Any], int]]

    def theirs(self, environments: Path) -> tuple[Figure, int]:
        """Runs the program.

        Raises:
            RuntimeError: it failed; holds the end of what it printed.
        """
        with tempfile.TemporaryDirectory() as place:
            held = Path(place) / "data.npz"
            np.savez(held, **self.data())
            python = environments / self.environment / "bin" / "python"
            ended = subprocess.run(
                [str(python), str(_FOREIGN / f"{self.program}.py"), str(held), json.dumps(self.sizes)],
                capture_output=True, text=True, check=False, env={**os.environ, **THREADS}, cwd=place,
            )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"{self.program} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        told = json.loads(ended.stdout.splitlines()[-1])
        return Figure(told["seconds"], 0.0), int(told["rows"])


# -- data -------------------------------------------------------------------------------------------------------------


def beauty() -> list[IntArray]:
    """Whole sequences, the newest items of each: as many as a training row shows, its target and two held out."""
    path = Path(os.environ["POLO_DATA"]) / "amazon-beauty-2014" / "sequences.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line)["items"][-(WINDOW + 3) :] for line, _ in zip(file, range(USERS), strict=False)]
    _, flat = np.unique(np.concatenate(lines), return_inverse=True)
    return np.split(flat.astype(np.int64), np.cumsum([len(one) for one in lines])[:-1])


def flat(sequences: list[IntArray]) -> dict[str, IntArray]:
    """One after the other, and where each begins."""
    lists = Ragged.of([one.tolist() for one in sequences])
    return {"items": lists.items, "offsets": lists.offsets}


def positions(sequences: list[IntArray]) -> Splits:
    """A row for each item of each sequence but the first, with all that came before it."""
    items = 1 + max(int(one.max()) for one in sequences)
    trained_on = [one[:-2] for one in sequences]
    user = np.repeat(np.arange(len(sequences)), [len(one) - 1 for one in trained_on])
    history = np.full((len(user), WINDOW), PAD, np.int64)
    at = 0
    for one in trained_on:
        for end in range(1, len(one)):
            history[at, WINDOW - end :] = one[:end]
            at += 1
    target = np.concatenate([one[1:] for one in trained_on])
    rows = Rows(np.arange(len(user)), user, history, target)
    lists = Ragged.of([one.tolist() for one in trained_on])
    known = Known(np.repeat(np.arange(len(sequences)), lists.lengths), lists.items, items)
    names = [str(i) for i in range(items)]
    return Splits(
        name="bench", form="sequences", items=ItemTable(names, names), train=rows, valid=rows[:0], test=rows[:0],
        sequences=Sequences(np.arange(len(sequences)), lists.items, lists.offsets), known_train=known, known_all=known,
        fingerprint="bench",
    )  # fmt: skip


def pairs_of(world: World) -> dict[str, IntArray]:
    """Who took what."""
    return {"user": world.train.user, "item": world.train.item}


# -- ours -------------------------------------------------------------------------------------------------------------


def _epoch(splits: Splits, policy: Callable[[Context], Any], loss: Any, negatives: int, batch: int) -> Any:
    where = context(splits=splits)
    objective = Objective(loss=loss, sampler=Uniform(UniformOptions(k=negatives), where))
    made, sizes = policy(where), replace(Sizes(), batch=batch)
    return (lambda: trained(made, objective, splits, sizes, where, None)), len(splits.train)


def _sasrec(loss: Any, negatives: int, batch: int | None) -> tuple[Callable[[], Any], int]:
    splits = positions(beauty())
    # as many rows as are in that many sequences
    batch = batch or round(_TOGETHER * len(splits.train) / USERS)
    options = SASRecOptions(dim=64, layers=2, heads=2, dropout=0.2)
    return _epoch(splits, lambda where: SASRec(options, where), loss, negatives, batch)


def _mf(batch: int) -> tuple[Callable[[], Any], int]:
    splits = electronics().splits()
    return _epoch(splits, lambda where: MF(MFOptions(dim=64), where), Bpr(LossOptions(), None), 1, batch)


PEERS: Mapping[str, Peer] = {
    "sasrec_rectools": Peer(
        ("SASRec epoch, 64 negatives, batches of 128 sequences, 2,000 users of amazon-beauty-2014", "rectools 0.19"),
        "rectools", "rectools_sasrec", {**_SHAPE, "sequences": _TOGETHER, "negatives": 64, "epochs": 2, "k": 0},
        lambda: flat([one[:-2] for one in beauty()]),
        lambda: _sasrec(Softmax(SoftmaxOptions(), None), 64, None),
    ),
    "sasrec_recbole": Peer(
        ("SASRec epoch, BPR with 1 negative, batches of 2,048 rows, 2,000 users of amazon-beauty-2014",
         "RecBole 1.2.1"),
        "recbole", "recbole_epoch", {"model": "SASRec", "settings": _RECBOLE},
        lambda: flat(beauty()),
        lambda: _sasrec(Bpr(LossOptions(), None), 1, 2048),
    ),
    "bpr_recbole": Peer(
        ("MF + BPR epoch, batches of 2,048, amazonElectronics", "RecBole 1.2.1"),
        "recbole", "recbole_epoch",
        {"model": "BPR", "settings": {"embedding_size": 64, "train_batch_size": 2048, "learning_rate": 1e-3}},
        lambda: pairs_of(electronics()),
        lambda: _mf(2048),
    ),
    "bpr_implicit": Peer(
        ("MF + BPR epoch, batches of 16,384 (theirs: row by row), amazonElectronics", "implicit 0.7 (compiled)"),
        "rectools", "implicit_bpr", {"dim": 64, "lr": 0.05},
        lambda: pairs_of(electronics()),
        lambda: _mf(16_384),
    ),
}  # fmt: skip
