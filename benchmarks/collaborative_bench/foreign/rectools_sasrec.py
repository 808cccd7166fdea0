"""Epochs of SASRec by rectools, in an environment that has it: ``rectools_sasrec.py SEQUENCES.npz SIZES``.

``SEQUENCES.npz`` holds ``items`` and ``offsets`` of training sequences and ``held``, an item of each that is left out;
``shown``, if it is there, is an item after each sequence that is not trained on, but shown when ``held`` is asked for.
SIZES is JSON (``dim``, ``layers``, ``heads``, ``dropout``, ``window``, ``sequences``, ``negatives``, ``lr``,
``epochs``, ``k``). Prints JSON: process ``seconds`` of the last epoch, ``rows`` (targets that it holds), and, where
``k`` is not 0, how often and where ``held`` is among the k best that the user did not take: ``hit`` and ``ndcg``.
"""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel


class Clock(lightning.Callback):
    """Process time of each epoch, and how many targets it holds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.rows = 0

    def on_train_epoch_start(self, *_: object) -> None:
        self._began, self.rows = time.process_time(), 0

    def on_train_batch_start(self, trainer: object, module: object, batch: dict, index: int) -> None:
        self.rows += int((batch["yw"] > 0).sum())

    def on_train_epoch_end(self, *_: object) -> None:
        self.seconds.append(time.process_time() - self._began)


def main(path: str, words: str) -> None:
    """Trains by sampled softmax, one thread; of each sequence all positions at once, padded to the window."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    lightning.seed_everything(0, verbose=False)
    sizes, found = json.loads(words), np.load(path)
    lengths = np.diff(found["offsets"])
    users = np.arange(len(lengths))

    def table(user: np.ndarray, items: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({
            Columns.User: user, Columns.Item: items, Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(user)), unit="s"),
        })  # fmt: skip

    def trainer() -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=sizes["epochs"], accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=[Clock()],
        )  # fmt: skip

    model = SASRecModel(
        n_blocks=sizes["layers"], n_heads=sizes["heads"], n_factors=sizes["dim"], dropout_rate=sizes["dropout"],
        session_max_len=sizes["window"], loss="sampled_softmax", n_negatives=sizes["negatives"], lr=sizes["lr"],
        batch_size=sizes["sequences"], epochs=sizes["epochs"], get_trainer_func=trainer,
    )  # fmt: skip
    user, items = np.repeat(users, lengths), found["items"]
    data = Dataset.construct(table(user, items))
    model.fit(data)
    clock = next(one for one in model.fit_trainer.callbacks if isinstance(one, Clock))
    told = {"seconds": clock.seconds[-1], "rows": clock.rows}
    if sizes["k"]:
        if "shown" in found:
            data = Dataset.construct(table(np.concatenate([user, users]), np.concatenate([items, found["shown"]])))
        best = model.recommend(np.arange(len(lengths)), data, k=sizes["k"], filter_viewed=True)
        rank = best.loc[best[Columns.Item].to_numpy() == found["held"][best[Columns.User].to_numpy()], Columns.Rank]
        told |= {
            "hit": len(rank) / len(lengths),
            "ndcg": float((1 / np.log2(1 + rank.to_numpy(float))).sum() / len(lengths)),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
