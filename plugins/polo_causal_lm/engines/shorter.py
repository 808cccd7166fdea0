"""Puts a shorter, equal forward in the place of a module's own, and takes it out again. Knows no layer."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

Forward = TypeVar("Forward", bound=Callable[..., Any])
_MARK = "_polo_shorter"


def shorter(forward: Forward) -> Forward:
    """Marks a function ``(module, ...)`` as a forward that computes what the module's class does."""
    setattr(forward, _MARK, True)
    return forward


def shorten(module: nn.Module, forward: Callable[..., Any]) -> None:
    """``module`` computes with ``forward`` from now on, unless somebody has given it a forward of its own.

    The forward is bound to the module, so a deep copy of the module is bound to the copy.
    """
    if "forward" not in vars(module):
        module.forward = types.MethodType(forward, module)


def is_shortened(module: nn.Module) -> bool:
    """Whether ``module`` computes with a forward that :func:`shorten` put there."""
    return getattr(getattr(vars(module).get("forward"), "__func__", None), _MARK, False)


def restore(model: nn.Module) -> dict[nn.Module, Any]:
    """Gives all modules of ``model`` their own forward back; returns what was taken out."""
    return {module: vars(module).pop("forward") for module in model.modules() if is_shortened(module)}


@contextmanager
def own_forwards(model: nn.Module) -> Iterator[None]:
    """Inside the block every module computes as its class says: what a judge must run on.

    Example:
        >>> import torch
        >>> layer = nn.Identity()
        >>> shorten(layer, shorter(lambda self, x: 2 * x))
        >>> with own_forwards(layer):
        ...     print(layer(torch.tensor(1)).item())
        1
        >>> layer(torch.tensor(1)).item()
        2
    """
    taken = restore(model)
    try:
        yield
    finally:
        for module, forward in taken.items():
            module.forward = forward
