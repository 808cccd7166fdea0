"""The policy ``gru4rec``: a gated recurrent network over the shown history."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo import Context, Splits
from polo_backbones.options import GRU4RecOptions
from polo_backbones.sequential import SequenceNet, SequencePolicy
from polo_backbones.vectors import VectorNet


class GRU4RecNet(SequenceNet):
    """Items through a GRU, its state through a linear layer to a vector. PAD stands behind, where it is read last."""

    def __init__(self, options: GRU4RecOptions, items: int, generator: torch.Generator) -> None:
        super().__init__(options, items, generator)
        between = options.dropout if options.layers > 1 else 0.0
        with torch.random.fork_rng(devices=[]):  # layers of torch draw their start from the global state
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            self.gru = nn.GRU(options.dim, options.hidden, options.layers, batch_first=True, dropout=between)
            self.out = nn.Linear(options.hidden, options.dim)
        self.dropout, self._scale = nn.Dropout(options.dropout), math.sqrt(options.dim)

    def states(self, items: Int[Tensor, "s l"]) -> Float[Tensor, "s l d"]:
        read, _ = self.gru(self.dropout(self.item(items.clamp_min(0)) * self._scale))
        states: Tensor = self.out(self.dropout(read))
        return states


class GRU4Rec(SequencePolicy):
    """GRU4Rec: ``score(h, i) = <W s_t + b, v_i>``, Hidasi et al., arXiv 1511.06939.

    s_t is the state of a GRU after the last shown item. The published network reads one-hot items, or vectors of its
    own, and has a matrix of its own for scores; here one table serves both. Its ranking losses (BPR, TOP1) belong to a
    stage, not to the policy.

    Example:
        >>> import torch
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> policy = GRU4Rec(GRU4RecOptions(dim=4, hidden=5), context(splits=splits))
        >>> tuple(policy.score(splits.test, torch.tensor([[0, 1]] * 3)).shape)
        (3, 2)
    """

    options: GRU4RecOptions

    def __init__(self, options: GRU4RecOptions, context: Context) -> None:
        super().__init__("gru4rec", options, context)

    def network(self, splits: Splits, generator: torch.Generator) -> VectorNet:
        return GRU4RecNet(self.options, len(splits.items), generator)
