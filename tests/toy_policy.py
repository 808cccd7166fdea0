"""A policy small enough to check by hand (a table of item vectors), and rows for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polo.data import PAD, Rows


class Table(nn.Module):
    """score(row, i) = log-softmax over all items of <mean of history vectors, item vector>, with dropout."""

    def __init__(self, items: int, width: int, dropout: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.inside = nn.Embedding(items, width, dtype=dtype)
        self.outside = nn.Embedding(items, width, dtype=dtype)
        self.dropout = nn.Dropout(dropout)

    def forward(self, history: Tensor, items: Tensor) -> Tensor:
        shown = (history != PAD).unsqueeze(-1)
        vectors = self.dropout(self.inside(history.clamp_min(0))) * shown
        mean = vectors.sum(dim=1) / shown.sum(dim=1).clamp_min(1)
        return (mean @ self.outside.weight.T).log_softmax(dim=-1).gather(1, items)


class ToyPolicy:
    unit: Literal["logprob"] = "logprob"
    pool: Literal["catalogue"] = "catalogue"

    def __init__(
        self, items: int = 40, width: int = 6, dropout: float = 0.0, dtype: torch.dtype = torch.float64
    ) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = Table(items, width, dropout, dtype)
        self.forwards = 0

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        self.forwards += 1
        return self.module(torch.from_numpy(rows.history), items)

    def tokens(self, items: Tensor) -> Tensor:
        return torch.ones_like(items)

    def cost(self, rows: Rows, n: int) -> np.ndarray:
        return (rows.history != PAD).sum(axis=1) + n

    def keys(self, rows: Rows, items: Tensor) -> list[bytes]:
        import hashlib

        whole = np.concatenate([rows.history, items.numpy()], axis=1)
        return [hashlib.blake2b(line.tobytes(), digest_size=16).digest() for line in whole]

    def fingerprint(self) -> str:
        return "toy"

    def start_stage(self, name: str) -> None: ...

    def save(self, folder: Path) -> None:
        inner = getattr(self.module, "module", self.module)
        save_file(inner.state_dict(), folder / "toy.safetensors")

    def load(self, folder: Path) -> None:
        inner = getattr(self.module, "module", self.module)
        inner.load_state_dict(load_file(folder / "toy.safetensors"))


def toy_rows(n: int = 24, items: int = 40, seed: int = 0, candidates: int | None = None) -> Rows:
    """Rows whose target is a function of the last history item, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    history = rng.integers(0, items, size=(n, 5))
    history[rng.random((n, 5)) < 0.3] = PAD
    history[:, -1] = rng.integers(0, items, size=n)
    target = (history[:, -1] * 7 + 3) % items
    lists = None
    if candidates is not None:
        lists = np.stack([rng.permutation(np.delete(np.arange(items), t))[: candidates - 1] for t in target])
        lists = np.concatenate([target[:, None], lists], axis=1)
    return Rows(id=np.arange(n), user=np.arange(n) // 3, history=history, target=target, candidates=lists)
