"""Ray Train without a torch group of its own: the processes that its workers run make theirs. Imports Ray and torch."""

from __future__ import annotations

import contextlib
from typing import Any

from ray.train.backend import Backend
from ray.train.torch import TorchConfig


class _NoGroup(Backend):  # type: ignore[misc]
    """A worker sees all GPUs of its node that the run has, as under torchrun; LOCAL_RANK says which is its own."""

    share_cuda_visible_devices: bool = True


class OwnGroup(TorchConfig):  # type: ignore[misc]
    """In the place of Ray's: no group, and no memory of a GPU taken, in the worker itself."""

    @property
    def backend_cls(self) -> Any:
        return _NoGroup

    @property
    def train_func_context(self) -> Any:
        return contextlib.nullcontext
