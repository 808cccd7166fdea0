"""Checks for plugin authors: does my component keep the contract?

Each check runs a component on small built-in cases and raises an ``AssertionError`` that says which law is broken.
Needs nothing but polo. For property tests, ``polo.testing.strategies`` holds hypothesis strategies for the same cases
(extra ``testing``).

Example:
    >>> import torch
    >>> from polo.testing import check_beta
    >>> class Half:
    ...     def __call__(self, scores, keep, progress):
    ...         return torch.full_like(scores.rejected, 0.5, dtype=torch.float32)
    >>> check_beta(Half())
"""

from polo.testing.betas import check_beta
from polo.testing.cases import Case, cases, permuted
from polo.testing.encoders import check_encoder
from polo.testing.losses import check_loss
from polo.testing.samplers import check_sampler
from polo.testing.world import context, small_splits

__all__ = [
    "Case",
    "cases",
    "check_beta",
    "check_encoder",
    "check_loss",
    "check_sampler",
    "context",
    "permuted",
    "small_splits",
]
