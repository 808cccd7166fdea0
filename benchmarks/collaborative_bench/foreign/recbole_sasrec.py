"""How good SASRec of RecBole is, in an environment that has it: ``recbole_sasrec.py SEQUENCES.npz SIZES``.

``SEQUENCES.npz`` holds ``items`` and ``offsets`` of sequences; of each the last item is for the test and the one before
it for validation, neither is trained on. SIZES is JSON (``dim``, ``layers``, ``heads``, ``dropout``, ``window``,
``batch``, ``lr``, ``k``, and ``epochs``, a list: after how many it is measured). Prints JSON: for each of them and for
``valid`` and ``test``, how often and where the item is among the k best that the user did not take: ``hit``, ``ndcg``.
"""

import json
import sys
import tempfile
import warnings
from logging import getLogger
from pathlib import Path

import numpy as np
import torch


def main(path: str, words: str) -> None:
    """Trains by its cross-entropy over all items, one thread; it takes a row for each position of a sequence."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    sizes, found = json.loads(words), np.load(path)
    lists = np.split(found["items"], found["offsets"][1:-1])
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "bench").mkdir()
        lines = ["user_id:token\titem_id:token\ttimestamp:float"]
        lines += [f"{user}\t{item}\t{at}" for user, items in enumerate(lists) for at, item in enumerate(items.tolist())]
        (Path(place) / "bench" / "bench.inter").write_text("\n".join(lines) + "\n", "utf-8")
        arguments, sys.argv = sys.argv, sys.argv[:1]  # it reads settings from the command line too
        config = Config(model="SASRec", dataset="bench", config_dict={
            "data_path": place, "checkpoint_dir": place, "use_gpu": False, "show_progress": False,
            "reproducibility": False, "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
            "MAX_ITEM_LIST_LENGTH": sizes["window"], "train_neg_sample_args": None, "loss_type": "CE",
            "n_layers": sizes["layers"], "n_heads": sizes["heads"], "hidden_size": sizes["dim"],
            "inner_size": 4 * sizes["dim"], "hidden_dropout_prob": sizes["dropout"],
            "attn_dropout_prob": sizes["dropout"], "learning_rate": sizes["lr"], "train_batch_size": sizes["batch"],
        })  # fmt: skip
        sys.argv = arguments
        init_seed(0, reproducibility=False)
        getLogger().setLevel("ERROR")
        data = create_dataset(config)
        train, _, _ = data_preparation(config, data)
        model = get_model(config["model"])(config, train._dataset)  # noqa: SLF001 (as its own programs do)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        numbers = [np.array([data.token2id("item_id", str(item)) for item in items.tolist()]) for items in lists]
        told: dict[str, dict[str, dict[str, float]]] = {}
        for epoch in range(max(sizes["epochs"])):
            trainer._train_epoch(train, epoch, show_progress=False)  # noqa: SLF001 (there is no other way to have one)
            if epoch + 1 in sizes["epochs"]:
                told[str(epoch + 1)] = {
                    "valid": measured(model, [one[:-1] for one in numbers], sizes),
                    "test": measured(model, numbers, sizes),
                }
    print(json.dumps(told))


@torch.no_grad()
def measured(model: torch.nn.Module, lists: list[np.ndarray], sizes: dict) -> dict[str, float]:
    """Where the last item of each list stands, when the model has seen what is before it, which is not ranked."""
    from recbole.data.interaction import Interaction

    model.eval()
    places = []
    for start in range(0, len(lists), 256):
        some = lists[start : start + 256]
        shown = torch.zeros(len(some), sizes["window"], dtype=torch.int64)
        lengths = torch.tensor([min(len(one) - 1, sizes["window"]) for one in some])
        for row, one in enumerate(some):
            shown[row, : lengths[row]] = torch.from_numpy(one[:-1][-sizes["window"] :])
        scores = model.full_sort_predict(Interaction({"item_id_list": shown, "item_length": lengths}))
        scores[:, 0] = -torch.inf  # its padding
        for row, one in enumerate(some):
            of_target = float(scores[row, one[-1]])
            scores[row, torch.from_numpy(one[:-1])] = -torch.inf
            places.append(1 + int((scores[row] > of_target).sum()))
    model.train()
    rank = np.array(places)
    gain = np.where(rank <= sizes["k"], 1 / np.log2(1 + rank), 0.0)
    return {"hit": float((rank <= sizes["k"]).mean()), "ndcg": float(gain.mean())}


if __name__ == "__main__":
    main(*sys.argv[1:])
