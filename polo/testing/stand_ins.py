"""Small correct components in place of what a component under test is given: a sampler to wrap, a policy to score.

Declared like a plugin's, though no entry point names them: only the checks find them, as ``polo-testing/stand_in``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from polo.context import Context
from polo.data import PAD, FloatArray, IntArray, ItemTable, Rows, Splits
from polo.plugin.component import Component
from polo.plugin.record import PluginRecord
from polo.testing.world import small_splits

if TYPE_CHECKING:
    from torch import Tensor

    from polo.protocols import Peek
    from polo.randomness import RowRandom
    from polo.scores import Draw, Scores

NAME: Final = "stand_in"
#: negatives of a draw of the stand-in
_K = 8


class StandInData:
    """The made-up world of :func:`polo.testing.small_splits`."""

    def __init__(self, options: None, context: Context) -> None: ...

    def load(self) -> Splits:
        return small_splits()


class StandInSampler:
    """Items of the row's list, or of the catalogue, that are neither known nor the target; drawn by row."""

    k = _K

    def __init__(self, options: None, context: Context) -> None:
        assert context.splits is not None
        self._splits = context.splits

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        import torch

        from polo.scores import Draw

        n = len(self._splits.items)
        lists = np.broadcast_to(np.arange(n), (len(rows), n)) if rows.candidates is None else rows.candidates
        seen = (rows.history[:, None, :] == lists[:, :, None]).any(-1) | self._splits.known_train.has(rows.user, lists)
        taken = seen | (lists == rows.target[:, None])
        order = np.argsort(rng.uniform(rows.id, lists.shape[1]) + taken, axis=1, kind="stable")[:, :_K]
        items, wrong = np.take_along_axis(lists, order, axis=1), np.take_along_axis(taken, order, axis=1)
        return Draw(torch.from_numpy(items.astype(np.int64)), torch.from_numpy(~wrong))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Tensor:
        return scores.valid_rejected


class StandInBeta:
    """1 for every negative."""

    def __init__(self, options: None, context: Context) -> None: ...

    def __call__(self, scores: Scores, keep: Tensor, progress: float) -> Tensor:
        import torch

        return torch.ones(keep.shape, dtype=torch.float32, device=keep.device)


class StandInLoss:
    """Mean over kept negatives j of ``softplus(-beta_j (ratio_chosen - ratio_j))``."""

    needs: frozenset[Any] = frozenset({"negatives"})

    def __init__(self, options: None, context: Context) -> None: ...

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        import torch

        ratio = scores.log_ratio
        margin = torch.where(keep, ratio[:, :1] - torch.where(keep, ratio[:, 1:], 0.0), 0.0)
        pairs = torch.where(keep, torch.nn.functional.softplus(-beta * margin), 0.0)
        return pairs.sum(-1) / keep.sum(-1).clamp(min=1)


class StandInEncoder:
    """Four figures of each item's number."""

    def __init__(self, options: None, context: Context) -> None: ...

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        number = np.arange(len(items), dtype=np.float64)[:, None]
        found: FloatArray = np.sin(number * np.arange(1, 5))
        return found

    def fingerprint(self) -> str:
        return NAME


class StandInPolicy:
    """``score(row, i)`` = the inner product of the mean vector of the history and that of item i, float64."""

    unit: Literal["logprob", "similarity"] = "similarity"
    pool: Literal["candidates", "catalogue"] = "catalogue"

    def __init__(self, options: None, context: Context) -> None:
        import torch
        from torch import nn

        class Table(nn.Module):
            def __init__(self, n: int) -> None:
                super().__init__()
                self.vectors = nn.Embedding(n, 4, dtype=torch.float64)

            def forward(self, history: Tensor, items: Tensor) -> Tensor:
                shown = (history != PAD)[..., None]
                mean = (self.vectors(history.clamp_min(0)) * shown).sum(1) / shown.sum(1).clamp_min(1)
                return torch.einsum("bd,bnd->bn", mean, self.vectors(items))

        assert context.splits is not None
        self.module: nn.Module = Table(len(context.splits.items))

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        import torch

        scores: Tensor = self.module(torch.from_numpy(rows.history), items)
        return scores

    def tokens(self, items: Tensor) -> Tensor:
        import torch

        return torch.ones_like(items)

    def cost(self, rows: Rows, n: int) -> IntArray:
        return np.full(len(rows), 1 + n, dtype=np.int64)

    def keys(self, rows: Rows, items: Tensor) -> list[bytes]:
        whole = np.concatenate([rows.history, items.numpy()], axis=1)
        return [hashlib.blake2b(line.tobytes(), digest_size=16).digest() for line in whole]

    def fingerprint(self) -> str:
        return NAME

    def start_stage(self, name: str) -> None:
        """Nothing to do."""

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        save_file(self.module.state_dict(), folder / "weights.safetensors")

    def load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.module.load_state_dict(load_file(folder / "weights.safetensors"))


def _declared(kind: str, build: type[Any]) -> tuple[str, Component]:
    summary = (build.__doc__ or "").splitlines()[0]
    return kind, Component(name=NAME, build=f"{__name__}:{build.__name__}", summary=summary)


#: what the catalogue of a check holds besides what is installed
RECORD: Final = PluginRecord(
    dist="polo-testing",
    version="",
    entry="polo_testing",
    module=__name__,
    file=__file__,
    components=tuple(
        _declared(kind, build)
        for kind, build in {
            "data": StandInData,
            "policy": StandInPolicy,
            "sampler": StandInSampler,
            "beta": StandInBeta,
            "loss": StandInLoss,
            "encoder": StandInEncoder,
        }.items()
    ),
)
KINDS_AT_HAND: Final = frozenset(kind for kind, _ in RECORD.components)
