"""The encoder ``norm``: length 1, and that it stays so while vectors are trained."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polo import Context, ItemTable, Splits, Vectors
from polo_tfllmer.options import NormOptions
from polo_tfllmer.transform import Transform

#: what a length is at least, so that a vector of zeros stays one
_LEAST = 1e-12


class Norm(Transform[NormOptions]):
    """``e_i / max(|e_i|, 1e-12)``, where an item is read and where it is scored, in every forward.

    After TF-LLMER, arXiv 2604.20490, from whose summary it is inferred: with ``|e_i| = 1`` the softmax loss of
    ``z_i = <e_i, h> / t`` has a Hessian in h, ``Cov_pi(e) / t^2``, whose trace is at most ``1 / t^2``, however unequal
    the lengths of the given vectors are. That t is fixed, and its value, are choices of ours. Follows
    :class:`polo.InForward`: a policy that trains the vectors calls :meth:`forward` and divides scores by t.

    Example:
        >>> from polo.testing import context
        >>> norm = Norm(NormOptions(), context(build=lambda choice: None))
        >>> norm.forward(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist(), norm.temperature
        ([[0.6000000238418579, 0.800000011920929], [0.0, 0.0]], 1.0)
    """

    name = "norm"

    def __init__(self, options: NormOptions, context: Context) -> None:
        super().__init__(options, context)
        self.temperature = options.temperature

    def vectors(self, items: ItemTable, splits: Splits) -> Vectors:
        x = self.inner.vectors(items, splits)
        length = np.linalg.norm(x, axis=1, keepdims=True)
        made: Vectors = x / np.maximum(length, _LEAST).astype(x.dtype)
        return made

    def forward(self, vectors: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        return torch.nn.functional.normalize(vectors, dim=-1, eps=_LEAST)
