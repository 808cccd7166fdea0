"""The policy `two_tower`."""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from polo import PAD, Context, InputError, IntArray, ItemTable, Rows, seed_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polo_plugin_two_tower.options import TwoTowerOptions
from polo_plugin_two_tower.titles import windows

_FILE = "policy.safetensors"


class Towers(nn.Module):
    """Both towers. The engine may wrap it, so everything that is trained happens in ``forward``."""

    def __init__(self, titles: Tensor, options: TwoTowerOptions) -> None:
        super().__init__()
        self._tau = options.tau
        self.titles: Tensor
        self.register_buffer("titles", titles, persistent=False)  # made anew from the data
        self.item, self.user = (
            nn.Sequential(nn.Linear(ins, options.hidden), nn.ReLU(), nn.Linear(options.hidden, options.dim))
            for ins in (titles.shape[1], options.dim)
        )

    def forward(self, history: Int[Tensor, "b h"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "n d"]]:
        """A vector for each row, divided by tau, and one for each item; all but that division of length 1."""
        items = nn.functional.normalize(self.item(self.titles), dim=-1)
        there = (history != PAD)[..., None]
        mean = (items[history.clamp_min(0)] * there).sum(1) / there.sum(1).clamp_min(1)
        return nn.functional.normalize(self.user(mean), dim=-1) / self._tau, items


class TwoTower:
    """``score(row, i) = < u, v_i > / tau``, u and v of length 1: v from the letters of a title, u from the mean v shown.

    Two-tower retrieval (Yi et al., RecSys 2019, sec. 3), with the history in place of a user number and titles in place
    of item numbers, so that it scores items and users that it never saw. Follows ``polo.Policy`` and ``polo.Embeds``.
    """

    unit: Literal["similarity"] = "similarity"
    pool: Literal["catalogue"] = "catalogue"

    def __init__(self, options: TwoTowerOptions, context: Context) -> None:
        if context.splits is None:
            raise InputError("policy 'two_tower' needs data", where="policy")
        self._options, self._table = options, context.splits.items
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(context.seed, "two_tower"))
            titles = torch.from_numpy(windows(list(self._table.titles), options.letters))
            self.module: nn.Module = Towers(titles, options).to(context.device)

    def vectors(self, rows: Rows) -> tuple[Float[Tensor, "b d"], Float[Tensor, "n d"]]:
        device = next(self.module.parameters()).device
        users, items = self.module(torch.from_numpy(rows.history).to(device))
        return users, items

    def user_vectors(self, rows: Rows) -> Float[Tensor, "b d"]:
        return self.vectors(rows)[0]

    def item_vectors(self) -> Float[Tensor, "n d"]:
        device = next(self.module.parameters()).device
        _, items = self.module(torch.full((1, 1), PAD, device=device))
        found: Tensor = items
        return found

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        users, vectors = self.vectors(rows)
        return torch.einsum("bd,bnd->bn", users, vectors[items])

    def tokens(self, items: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        return torch.ones_like(items)

    def cost(self, rows: Rows, n: int) -> IntArray:
        """Vectors that are looked up."""
        return np.full(len(rows), rows.history.shape[1] + n, dtype=np.int64)

    def keys(self, rows: Rows, items: Int[Tensor, "b n"]) -> list[bytes]:
        """What the scores of a row depend on besides the weights: its history and the items."""
        whole = np.concatenate([rows.history, items.cpu().numpy()], axis=1)
        return [hashlib.blake2b(line.tobytes(), digest_size=16).digest() for line in whole]

    def fingerprint(self) -> str:
        """All that is fixed while it is trained: options, and the titles that are read."""
        return f"two_tower 1 {self._options} {_digest(self._table)}"

    def start_stage(self, name: str) -> None:
        """Nothing to do."""

    def save(self, folder: Path) -> None:
        save_file({name: t.contiguous() for name, t in self._inner().state_dict().items()}, folder / _FILE)

    def load(self, folder: Path) -> None:
        self._inner().load_state_dict(load_file(folder / _FILE))

    def _inner(self) -> nn.Module:
        """The network without what several processes wrap around it."""
        inner = getattr(self.module, "module", self.module)
        assert isinstance(inner, nn.Module)
        return inner


def _digest(items: ItemTable) -> str:
    return hashlib.blake2b("\n".join(items.titles).encode(), digest_size=16).hexdigest()
