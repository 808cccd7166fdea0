"""Random trees with random conditional distributions, and a small policy with weights that matter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from polo import FloatArray, IntArray, Splits
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.topk.titles import TitleTree
from tests.polo_causal_lm.world import context


@dataclass(frozen=True)
class World:
    """A catalogue, and the log-probability of every edge of its tree (that of a node's last token)."""

    tree: TitleTree
    titles: list[IntArray]
    edge: FloatArray

    def children(self, node: int) -> FloatArray:
        return self.edge[self.tree.child[node] : self.tree.child[node + 1]]

    def logps(self) -> FloatArray:
        """Of each node, parents before children, in the search's own order of addition."""
        found = np.zeros(len(self.tree))
        for node in range(1, len(found)):
            found[node] = found[self.tree.parent[node]] + self.edge[node]
        return found

    def scores(self, ranking: str) -> FloatArray:
        """Of each item."""
        ends, logps = np.empty(len(self.titles), np.int64), self.logps()
        for node, (low, count) in enumerate(zip(self.tree.low, self.tree.ends, strict=True)):
            ends[self.tree.order[low : low + count]] = node
        return logps[ends] / (self.tree.lengths if ranking == "mean" else 1)


Facts = tuple[int, int, int, int, bool]
#: seed, titles, tokens, most tokens of a title, whether probabilities are halves. Worlds are built in the tests, since
#: checking shapes draws random numbers, which a strategy may not
FACTS = st.tuples(
    st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 6), st.integers(1, 6), st.booleans()
)  # fmt: skip


def world_of(facts: Facts) -> World:
    """Up to 40 titles over 2 to 6 tokens, some equal; probabilities of halves, so that equal scores are common."""
    seed, n, tokens, longest, halves = facts
    rng = np.random.default_rng(seed)
    titles = [np.append(rng.integers(2, 2 + tokens, rng.integers(0, longest + 1)), 2) for _ in range(n)]
    tree = TitleTree.of(titles)
    edge = np.zeros(len(tree))
    for node in range(len(tree)):
        low, high = tree.child[node], tree.child[node + 1]
        # One more than there are children: text that no title goes on with.
        share = rng.dirichlet(np.full(high - low + 1, rng.choice([0.2, 1.0, 5.0])))[:-1]
        share = np.maximum(share, 1e-6)
        edge[low:high] = np.log(share / max(1.0, share.sum()))
        if halves:  # rounded down, so they still sum to at most 1
            edge[low:high] = np.log(2.0) * np.floor(edge[low:high] / np.log(2.0))
    return World(tree, titles, edge)


def policy(base: Path, tmp_path: Path, splits: Splits | None = None, **options: Any) -> CausalLM:
    made = CausalLM(CausalLMOptions(base=str(base), dtype="float64", **options), context(tmp_path, splits))
    made.module.eval()
    with torch.no_grad():
        for p in made.state_dict().values():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(3)) * 0.2)
    return made


def judged(made: CausalLM, rows: Any) -> np.ndarray:
    everything = torch.arange(len(made.texts.titles)).expand(len(rows), -1)
    return made.score_many(rows, everything, 4096).double().numpy()
