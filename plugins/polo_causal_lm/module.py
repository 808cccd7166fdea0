"""The module that is trained: everything differentiable in one forward, so that DDP and FSDP can wrap it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from polo_causal_lm.engines.base import Engine, Layout


class CandidateScorer(nn.Module):
    """Scores of laid-out candidates.

    Args:
        model: the peft model.
        engine: how candidates are laid out; not a module, so it has no weights.
    """

    def __init__(self, model: nn.Module, engine: Engine) -> None:
        super().__init__()
        self.model = model
        self.engine = engine

    def forward(self, layout: Layout) -> Float[Tensor, "b n"]:
        """Sums of log-probabilities in nats, ``[B, n]``."""
        return self.engine.scores(self.model, layout)
