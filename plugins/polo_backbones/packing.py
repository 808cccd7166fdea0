"""An embedding policy as files that need no polo to be read: item vectors, their ids, and all weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from polo import InputError, ItemTable, Packed

#: item vectors, and what row i of them is
VECTORS, IDS = "vectors.safetensors", "items.json"

_LOADING = """\
import json
from pathlib import Path
from safetensors.numpy import load_file

vectors = load_file(f"{folder}/vectors.safetensors")["items"]  # [items, numbers]
ids = json.loads(Path(folder, "items.json").read_text("utf-8"))  # row i of the vectors is the item ids[i]
weights = load_file(f"{folder}/policy.safetensors")  # of the network that policy.json describes
# the score of an item is its vector's inner product with the user's"""


def pack_vectors(
    vectors: Float[Tensor, "n d"], items: ItemTable, name: str, folder: Path, *, merged: bool, base: str | None
) -> Packed:
    """Writes item vectors and ids beside the policy's own files, which are there.

    Args:
        vectors: as they enter the inner product.
        items: the catalogue; titles are not written, as licences of data sets may forbid to pass them on.
        name: of the policy.
        folder: where.
        merged, base: as :class:`polo.Packs` has them; there is nothing to merge, and no base that has a name.

    Raises:
        InputError: one of the two is asked for.
    """
    if merged or base is not None:
        raise InputError(
            f"policy '{name}' is a table of vectors: it has no language model, and no adapter to merge into one",
            where="--merged" if merged else "--base",
            fix="leave the option out: item vectors, their ids and the weights are written",
        )
    save_file({"items": vectors.detach().to("cpu", torch.float32).contiguous()}, folder / VECTORS)
    (folder / IDS).write_text(json.dumps(list(items.ids), ensure_ascii=False) + "\n", encoding="utf-8")
    what = f"vectors of {len(items):,} items by policy {name}, with all of its weights"
    return Packed(what, _LOADING)
