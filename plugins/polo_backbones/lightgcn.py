"""The policy ``lightgcn``: vectors of users and items, averaged along the graph of who took what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polo import PAD, BoolArray, Context, Rows, Splits
from polo_backbones.mf import MFNet, UserPolicy
from polo_backbones.options import LightGCNOptions
from polo_backbones.vectors import VectorNet

#: types in which autocast computes
HALF = (torch.bfloat16, torch.float16)


def normalised_graph(user: Tensor, item: Tensor, users: int, items: int) -> Float[Tensor, "n n"]:
    """``D^-1/2 A D^-1/2`` of the graph whose nodes are users, then items, sparse; an edge counts once.

    Example (one user with two items: degrees 2, 1, 1):
        >>> graph = normalised_graph(torch.tensor([0, 0]), torch.tensor([0, 1]), 1, 2)
        >>> [[round(v, 4) for v in line] for line in graph.to_dense().tolist()]
        [[0.0, 0.7071, 0.7071], [0.7071, 0.0, 0.0], [0.7071, 0.0, 0.0]]
    """
    edge = torch.unique(user * items + item)
    u, i = edge // items, edge % items + users
    size = users + items
    ends = torch.cat([torch.stack([u, i]), torch.stack([i, u])], dim=1)
    degree = torch.bincount(ends[0], minlength=size).clamp_min(1).float()
    weight = (degree[ends[0]] * degree[ends[1]]).rsqrt()
    return torch.sparse_coo_tensor(ends, weight, (size, size), check_invariants=True).coalesce()


def edges(train: Rows) -> tuple[Tensor, Tensor]:
    """Users and items of the training rows, targets and shown histories alike."""
    taken = np.concatenate([train.history, train.target[:, None]], axis=1)
    user = np.broadcast_to(train.user[:, None], taken.shape)
    there = taken != PAD
    return torch.from_numpy(user[there].copy()), torch.from_numpy(taken[there])


def mean(steps: Iterable[Float[Tensor, "n d"]]) -> Float[Tensor, "n d"]:
    """The mean of tensors of one shape, at least one.

    Example:
        >>> mean(torch.tensor([v, 1.0]) for v in (2.0, 4.0)).tolist()
        [3.0, 1.0]
    """
    several = iter(steps)
    total, count = next(several), 1
    for one in several:
        total, count = total + one, count + 1
    return total / count


class LightGCNNet(MFNet):
    """Tables of users and items, and the mean of their vectors before and after each step along the graph."""

    def __init__(
        self,
        options: LightGCNOptions,
        known: BoolArray,
        items: int,
        graph: Float[Tensor, "n n"],
        generator: torch.Generator,
    ) -> None:
        super().__init__(options, known, items, generator)
        self.graph = graph  # no buffer: several processes cannot exchange sparse ones, and each makes its own
        self._layers = options.layers

    def propagated(self) -> tuple[Float[Tensor, "u d"], Float[Tensor, "i d"]]:
        """``E = 1/(L+1) sum_l E_l``, ``E_(l+1) = D^-1/2 A D^-1/2 E_l``, of users and of items."""
        return self.parted(mean(self.steps()))

    def steps(self) -> Iterator[Float[Tensor, "n d"]]:
        """``E_0`` to ``E_L``, users first."""
        now = torch.cat([self.user.weight, self.item.weight])
        yield now
        for layer in range(1, self._layers + 1):
            now = self.step(now, layer)
            yield now

    def step(self, now: Float[Tensor, "n d"], layer: int) -> Float[Tensor, "n d"]:
        """``E_layer``, from the one before."""
        with torch.autocast(now.device.type, enabled=False):  # there are no sparse products in half precision
            moved: Tensor = torch.sparse.mm(self.graph, now.float() if now.dtype in HALF else now)
        return moved

    def parted(self, nodes: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "u d"], Float[Tensor, "i d"]]:
        """Users and items."""
        return nodes[: self.user.num_embeddings], nodes[self.user.num_embeddings :]

    def of_rows(self, batch: dict[str, Tensor]) -> Tensor:
        return self.both(batch, None)[0]

    def of_items(self, items: Tensor | None) -> Tensor:
        vectors = self.propagated()[1]
        return vectors if items is None else vectors[items]

    def both(self, batch: dict[str, Tensor], items: Tensor | None) -> tuple[Tensor, Tensor]:
        users, vectors = self.propagated()
        return self._by_user(users, batch), vectors if items is None else vectors[items]


class LightGCN(UserPolicy):
    """LightGCN: ``score(u, i) = <e_u, e_i>`` of propagated vectors, He et al., arXiv 2002.02126, eqs. 3, 4 and 9.

    The layers' weights are equal, as published. The graph holds what the training rows show and target, once each, and
    nothing of other splits. Vectors are propagated once for a pass: give ``tokens_per_pass`` room for a whole batch.

    Example:
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> policy = LightGCN(LightGCNOptions(dim=4), context(splits=splits))
        >>> tuple(policy.score(splits.test, torch.tensor([[0, 1]] * 3)).shape)
        (3, 2)
    """

    options: LightGCNOptions
    net_class: type[LightGCNNet] = LightGCNNet

    def __init__(self, options: LightGCNOptions, context: Context, name: str = "lightgcn") -> None:
        super().__init__(name, options, context)
        self.tell(context)

    def network(self, splits: Splits, generator: torch.Generator) -> VectorNet:
        graph = normalised_graph(*edges(splits.train), splits.n_users, len(splits.items))
        return self.net_class(self.options, self.prepare(splits), len(splits.items), graph.to(self.device), generator)
