"""The means of weights that polo itself brings, and the mean that a stage keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from polo.context import Context
from polo.errors import PoloError
from polo.model.sharding import like
from polo.model.weights import restore, trainable, under
from polo.protocols import Average, Need
from polo.train.average_options import EmaOptions, LastOptions


class Ema:
    """``mean = decay * mean + (1 - decay) * weights`` after every step (Polyak & Juditsky 1992, with a fixed weight).

    Example:
        >>> from polo.testing import context
        >>> [round(Ema(EmaOptions(decay=0.9, warm=w), context()).share(1, 10, 5), 4) for w in (False, True)]
        [0.1, 0.8182]
    """

    def __init__(self, options: EmaOptions, context: Context) -> None:
        self._options = options

    def share(self, step: int, total: int, epoch: int) -> float:
        decay = self._options.decay
        return 1 - (min(decay, (1 + step) / (10 + step)) if self._options.warm else decay)


class Last:
    """The mean of the weights after each step of the last epochs of a stage; before them, the weights as they are.

    As in stochastic weight averaging (arXiv 1803.05407), at every step. What is measured on the way, before the last
    epochs begin, are the weights as they are.

    Example (the last 2 of 6 steps; the fifth begins the mean):
        >>> from polo.testing import context
        >>> last = Last(LastOptions(epochs=0.5), context())
        >>> [last.share(step, 6, 4) for step in range(1, 7)]
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
    """

    needs: frozenset[Need] = frozenset({"end"})

    def __init__(self, options: LastOptions, context: Context) -> None:
        self._epochs = options.epochs

    def share(self, step: int, total: int, epoch: int) -> float:
        held = max(1, round(self._epochs * epoch))
        return 1 / max(1, step - max(0, total - held))


class Mean:
    """The mean of a stage's trained weights, which takes their place wherever they are measured or handed on.

    Kept in at least float32, each process its own part where weights are sharded. Without an average there is none, and
    the weights are used as they are.

    Args:
        module: what is trained, with the weights that the stage begins with.
        average: weighs the steps.
        total: steps of the stage.
        epoch: steps of an epoch.

    Attributes:
        weights: the mean by name; empty without an average.
    """

    def __init__(self, module: nn.Module, average: Average | None, total: int, epoch: int) -> None:
        self._module, self._average, self._total, self._epoch = module, average, total, epoch
        self.weights: dict[str, Tensor] = {}
        if average is not None:
            self.weights = {name: _wide(p.detach()).clone() for name, p in trainable(module).items()}

    def take(self, step: int) -> None:
        """The weights after ``step`` steps enter the mean.

        Raises:
            PoloError: their share is not one.
        """
        if self._average is None:
            return
        share = self._average.share(step, self._total, self._epoch)
        if not 0 <= share <= 1:
            raise PoloError(f"the weights after step {step} enter their mean with a share of {share}", where="average",
                            fix="a fault of the average: shares are from 0 to 1")  # fmt: skip
        with torch.no_grad():
            for name, p in trainable(self._module).items():
                mean, now = self.weights[name], _wide(p.detach())
                if share == 1:  # exactly what they are, also where a difference would be rounded
                    mean.copy_(now)
                else:
                    mean.add_(now - mean, alpha=share)

    def put_back(self, weights: Mapping[str, Tensor]) -> None:
        """What a checkpoint kept, whole, becomes the mean."""
        for name in self.weights:
            self.weights[name] = like(weights[name], self.weights[name])

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Inside the block the module has the mean for weights, in evaluation mode, without gradients."""
        if self._average is None:
            yield
            return
        parameters = trainable(self._module)
        with under(self._module, {name: mean.to(parameters[name].dtype) for name, mean in self.weights.items()}):
            yield

    def hand_on(self) -> None:
        """The mean becomes the weights, for good."""
        if self._average is not None:
            restore(self._module, self.weights)


def _wide(weights: Tensor) -> Tensor:
    """Small steps are lost in half precision."""
    return weights.float() if weights.dtype in (torch.float16, torch.bfloat16) else weights
