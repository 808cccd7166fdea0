"""Checks for plugin authors: does my component keep the contract?

:func:`check_component` gives the named checks of an installed component, of whatever kind; under pytest,
:func:`parametrize_with_checks` makes a test of each; ``polo plugin check`` runs them all without a line of code. A
check runs the component on small built-in cases and raises an ``AssertionError`` that says which law is broken.

Needs nothing but polo (and pytest for the decorator). For property tests, ``polo.testing.strategies`` holds hypothesis
strategies for the same cases (extra ``testing``).

Example:
    >>> import torch
    >>> from polo.testing import check_beta
    >>> class Half:
    ...     def __call__(self, scores, keep, progress):
    ...         return torch.full_like(scores.rejected, 0.5, dtype=torch.float32)
    >>> check_beta(Half())
"""

from polo.testing.cases import Case, cases, permuted
from polo.testing.checks import (
    Check,
    check_beta,
    check_component,
    check_encoder,
    check_loss,
    check_sampler,
    parametrize_with_checks,
)
from polo.testing.world import context, small_splits

__all__ = [
    "Case",
    "Check",
    "cases",
    "check_beta",
    "check_component",
    "check_encoder",
    "check_loss",
    "check_sampler",
    "context",
    "parametrize_with_checks",
    "permuted",
    "small_splits",
]
