"""The policy ``sasrec``: causal self-attention over the shown history."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from polo import Context, Splits
from polo_backbones.options import SASRecOptions
from polo_backbones.sequential import SequenceNet, SequencePolicy
from polo_backbones.vectors import VectorNet


def linear(inside: int, outside: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer, Glorot's uniform distribution and zero bias."""
    layer = nn.Linear(inside, outside, device="meta").to_empty(device="cpu")
    bound = math.sqrt(6 / (inside + outside))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


class Block(nn.Module):
    """``x + A(LN(x))``, then ``x + F(LN(x))``: attention to what came before, then a network of two layers."""

    def __init__(self, options: SASRecOptions, generator: torch.Generator) -> None:
        super().__init__()
        d = options.dim
        self.heads, self.rate = options.heads, options.dropout
        self.norm_attention, self.norm_inner = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = linear(d, 3 * d, generator), linear(d, d, generator)
        self.up, self.down = linear(d, d, generator), linear(d, d, generator)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Float[Tensor, "s l d"]) -> Float[Tensor, "s l d"]:
        many, long, d = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(many, long, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v, dropout_p=self.rate if self.training else 0.0, is_causal=True)
        x = x + self.dropout(self.out(seen.transpose(1, 2).reshape(many, long, d)))
        inner = self.dropout(torch.relu(self.up(self.norm_inner(x))))
        out: Tensor = x + self.dropout(self.down(inner))
        return out


class SASRecNet(SequenceNet):
    """Items plus positions, counted from the oldest shown item, through blocks. PAD stands behind, where none looks."""

    def __init__(self, options: SASRecOptions, items: int, window: int, generator: torch.Generator) -> None:
        super().__init__(options, items, generator)
        self.position = nn.Parameter(torch.randn(window, options.dim, generator=generator) * options.init)
        self.blocks = nn.ModuleList([Block(options, generator) for _ in range(options.layers)])
        self.norm, self.dropout = nn.LayerNorm(options.dim), nn.Dropout(options.dropout)
        self._scale = math.sqrt(options.dim)

    def states(self, items: Int[Tensor, "s l"]) -> Float[Tensor, "s l d"]:
        x = self.item(items.clamp_min(0)) * self._scale + self.position[: items.shape[1]]
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        states: Tensor = self.norm(x)
        return states


class SASRec(SequencePolicy):
    """SASRec: ``score(h, i) = <F_t, M_i>``, Kang & McAuley, arXiv 1808.09781, eqs. 2 to 8.

    F_t is the state of the last block after the last shown item; M is the table of items, which is that of the input.
    Blocks are normalised before attention and network, as in the authors' code; positions count from the oldest shown
    item (theirs from the newest), so that a beginning of a history is read alike alone and within the whole, and one
    forward gives the rows of all its positions.

    Example:
        >>> import torch
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> policy = SASRec(SASRecOptions(dim=4), context(splits=splits))
        >>> tuple(policy.score(splits.test, torch.tensor([[0, 1]] * 3)).shape)
        (3, 2)
    """

    options: SASRecOptions

    def __init__(self, options: SASRecOptions, context: Context) -> None:
        super().__init__("sasrec", options, context)

    def network(self, splits: Splits, generator: torch.Generator) -> VectorNet:
        return SASRecNet(self.options, len(splits.items), self.window(splits), generator)
