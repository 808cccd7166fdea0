"""MF and DrRL as the published code computes them, for comparison: memory by users x items, metrics user by user.

Written from the description of arXiv 2506.15120 and its release: a dense Boolean matrix of what was taken, of which
each batch reads its users' lines as weights of a draw with replacement; both tables are brought to length 1 at every
step; thresholds move first, by an SGD step of their own. Rankings are made of sigmoids, cut at K, and judged in loops.
Knows tensors and pairs; nothing of polo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn.functional import normalize

from collaborative_bench.data import Taken, World


@dataclass(frozen=True)
class Sizes:
    """Hyper-parameters that both forms share; those of the release."""

    dim: int = 64
    batch: int = 1024
    negatives: int = 64
    lr: float = 1e-3
    threshold_lr: float = 1e-3
    threshold: float = 0.7
    omega: float = 150.0
    c: float = 1.0
    eps: float = 0.1


class Published:
    """Tables, thresholds, optimisers and the dense matrix."""

    def __init__(self, world: World, sizes: Sizes, user: Tensor, item: Tensor) -> None:
        self.sizes = sizes
        self.user, self.item = nn.Parameter(user.clone()), nn.Parameter(item.clone())
        self.threshold = nn.Parameter(torch.full((world.users, 1), sizes.threshold))
        self.descent = torch.optim.Adam([self.user, self.item], lr=sizes.lr)
        self.search = torch.optim.SGD([self.threshold], lr=sizes.threshold_lr)
        self.taken = torch.zeros(world.users, world.items, dtype=torch.bool)
        users, lists = world.train.lists
        for number, name in enumerate(users.tolist()):
            self.taken[name, lists.items[lists.offsets[number] : lists.offsets[number + 1]]] = True

    def draw(self, user: Tensor) -> Tensor:
        """``[B, N]`` negatives, uniformly with replacement from what the user did not take."""
        return torch.multinomial((~self.taken[user]).float(), self.sizes.negatives, replacement=True)

    def step(self, user: Tensor, positive: Tensor, negative: Tensor) -> float:
        """One step; the batch's mean loss."""
        p = self.sizes.omega / (self.sizes.omega - 1)
        users, items = normalize(self.user, dim=1), normalize(self.item, dim=1)
        mine, chosen, rejected = users[user], items[positive], items[negative]
        first = (mine * chosen).sum(dim=1)
        others = torch.bmm(mine[:, None], rejected.transpose(1, 2))[:, 0]
        threshold = self.threshold[user]
        self.search.zero_grad()
        self._bound(others.detach(), threshold, p).sum().backward()
        self.search.step()
        loss = (torch.relu(1 - first) + self._bound(others, self.threshold[user].detach(), p)).mean()
        self.descent.zero_grad()
        loss.backward()
        self.descent.step()
        return float(loss.detach())

    def _bound(self, others: Tensor, threshold: Tensor, p: float) -> Tensor:
        x = self.sizes.eps + torch.relu(others - threshold) * self.sizes.c
        return self.sizes.negatives ** (-1 / p) * torch.norm(x, p, dim=1) + threshold[:, 0]

    def epoch(self, user: Tensor, item: Tensor) -> float:
        """All pairs once, in the order given; mean loss."""
        total = 0.0
        for start in range(0, len(user), self.sizes.batch):
            batch = slice(start, start + self.sizes.batch)
            total += self.step(user[batch], item[batch], self.draw(user[batch])) * len(user[batch])
        return total / len(user)


def evaluate(world: World, user: Tensor, item: Tensor, k: int, batch: int = 1024) -> dict[str, float]:
    """Recall and NDCG at k over the test users: a product, -1024 at what was taken, ``topk``, then Python's loops."""
    taken = csr_matrix(
        (np.ones(len(world.train.user)), (world.train.user, world.train.item)), shape=(world.users, world.items)
    )
    relevant = _by_user(world.test)
    users, rankings, truths = list(relevant), [], []
    with torch.no_grad():
        for start in range(0, len(users), batch):
            some = users[start : start + batch]
            owned = [taken[name].nonzero()[1] for name in some]
            rating = torch.sigmoid(normalize(user, dim=1)[torch.tensor(some)] @ normalize(item, dim=1).t())
            line: list[int] = []
            column: list[int] = []
            for number, items in enumerate(owned):
                line.extend([number] * len(items))
                column.extend(items)
            rating[line, column] = -(1 << 10)
            rankings.append(torch.topk(rating, k=k)[1].numpy())
            truths.append([relevant[name] for name in some])
    recall = ndcg = 0.0
    for ranking, truth in zip(rankings, truths, strict=True):
        labels = []
        for wanted, found in zip(truth, ranking, strict=True):
            labels.append(np.array([item in wanted for item in found]).astype("float"))
        hit = np.array(labels)
        recall += float((hit.sum(1) / np.array([len(wanted) for wanted in truth])).sum())
        best = np.zeros((len(hit), k))
        for number, wanted in enumerate(truth):
            best[number, : min(k, len(wanted))] = 1
        discount = 1 / np.log2(np.arange(2, k + 2))
        ndcg += float(((hit * discount).sum(1) / (best * discount).sum(1)).sum())
    return {f"recall@{k}": recall / len(users), f"ndcg@{k}": ndcg / len(users)}


def _by_user(pairs: Taken) -> dict[int, list[int]]:
    users, lists = pairs.lists
    bounds = lists.offsets.tolist()
    return {
        name: lists.items[low:high].tolist()
        for name, low, high in zip(users.tolist(), bounds[:-1], bounds[1:], strict=True)
    }
