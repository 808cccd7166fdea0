"""An epoch of a model of RecBole, in an environment that has it: ``recbole_epoch.py DATA.npz SIZES``.

SIZES is JSON: ``model`` and what RecBole calls its settings (``settings``). For BPR, ``DATA.npz`` holds ``user`` and
``item``, all of them trained on. For SASRec it holds ``items`` and ``offsets`` of sequences, of which the last two
items are left out. Prints JSON: process ``seconds`` of the second epoch, and ``rows`` of it.
"""

import json
import sys
import tempfile
import time
import warnings
from logging import getLogger
from pathlib import Path

import numpy as np
import torch


def main(path: str, words: str) -> None:
    """One thread, one negative for each row, which is what its pairwise losses take."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    sizes, found = json.loads(words), np.load(path)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bench"
        folder.mkdir()
        settings = {
            "data_path": place, "checkpoint_dir": place, "use_gpu": False, "show_progress": False, "epochs": 2,
            "reproducibility": False, "load_col": {"inter": ["user_id", "item_id"]}, **sizes["settings"],
        }  # fmt: skip
        if "offsets" in found:
            lengths = np.diff(found["offsets"])
            lines = np.stack(
                [np.repeat(np.arange(len(lengths)), lengths), found["items"], np.arange(len(found["items"]))], axis=1
            )
            _write(folder / "bench.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
            settings |= {
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
            }
        else:
            lines = np.stack([found["user"], found["item"]], axis=1)
            for part, some in (("train", lines), ("valid", lines[:1]), ("test", lines[:1])):
                _write(folder / f"bench.{part}.inter", "user_id:token\titem_id:token", some)
            settings |= {"benchmark_filename": ["train", "valid", "test"]}
        arguments, sys.argv = sys.argv, sys.argv[:1]  # it reads settings from the command line too
        config = Config(model=sizes["model"], dataset="bench", config_dict=settings)
        sys.argv = arguments
        init_seed(0, reproducibility=False)
        getLogger().setLevel("ERROR")
        train, _, _ = data_preparation(config, create_dataset(config))
        model = get_model(config["model"])(config, train._dataset)  # noqa: SLF001 (as its own programs do)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        for epoch in range(2):
            began = time.process_time()
            trainer._train_epoch(train, epoch, show_progress=False)  # noqa: SLF001 (there is no other way to have one)
            seconds = time.process_time() - began
        print(json.dumps({"seconds": seconds, "rows": len(train._dataset)}))  # noqa: SLF001


def _write(path: Path, head: str, lines: np.ndarray) -> None:
    path.write_text("\n".join([head, *("\t".join(map(str, line)) for line in lines.tolist())]) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
