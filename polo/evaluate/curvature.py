"""How curved a softmax loss is in the vector of a row: the spectrum of its Hessian, without the matrix itself.

With ``z_i = <e_i, h>`` and ``pi = softmax(z)`` the loss ``-z_y + log sum_i exp z_i`` has in h the Hessian
``H = sum_i pi_i e_i e_i^T - m m^T``, ``m = sum_i pi_i e_i``: the covariance of the item vectors under pi, whatever the
target y. Gradient descent needs steps in proportion to its condition number. Knows vectors; knows no model.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.linalg import eigh_tridiagonal

from polo.data import FloatArray

#: products with the Hessian for one row, at most; with as many as there are dimensions the spectrum is complete
STEPS: Final = 256
#: eigenvalues below this share of the largest are rounding
FLOOR: Final = 1e-12


def products(items: FloatArray, row: FloatArray) -> tuple[FloatArray, FloatArray]:
    """pi ``[n]`` and m ``[d]`` of a row's vector ``[d]`` and item vectors ``[n, d]``, which hold the temperature."""
    scores = items @ row
    pi = np.exp(scores - scores.max())
    pi /= pi.sum()
    return pi, pi @ items


def spectrum(items: FloatArray, row: FloatArray, steps: int = STEPS) -> FloatArray:
    """Eigenvalues of H, largest first, by Lanczos with full reorthogonalisation; min(d, steps) of them.

    Where the process ends early (an invariant subspace) it goes on from a new direction, so that with ``steps >= d``
    all d eigenvalues are found, with their multiplicities. With fewer steps the first ones are good, the last is an
    upper bound of the least. Golub & Van Loan, Matrix Computations, sec. 10.1. Memory ``[d, steps]``, beside the
    vectors; time ``O(steps (n d + d steps))``.

    Example (two items at +1 and -1 on an axis, equally likely: variance 1 there and 0 on the other axis):
        >>> spectrum(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2)).round(12).tolist()
        [1.0, 0.0]
    """
    pi, mean = products(items, row)
    d = items.shape[1]
    many = min(d, steps)
    rng = np.random.default_rng(0)
    basis = np.zeros((many, d))
    along, between = np.zeros(many), np.zeros(max(0, many - 1))
    now = _fresh(rng, basis[:0], d)
    for i in range(many):
        basis[i] = now
        projected = items @ now
        image = (pi * projected) @ items - (pi @ projected) * mean
        along[i] = now @ image
        if i + 1 == many:
            break
        rest = _orthogonal(image, basis[: i + 1])
        between[i] = np.linalg.norm(rest)
        if between[i] <= FLOOR * max(abs(along[: i + 1]).max(), np.finfo(float).tiny):
            between[i], now = 0.0, _fresh(rng, basis[: i + 1], d)
        else:
            now = rest / between[i]
    values: FloatArray = eigh_tridiagonal(along, between, eigvals_only=True)[::-1]
    return np.maximum(values, 0.0)


def _orthogonal(vector: FloatArray, basis: FloatArray) -> FloatArray:
    """Without its part in the span of the orthonormal rows; twice, for rounding."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector


def _fresh(rng: np.random.Generator, basis: FloatArray, d: int) -> FloatArray:
    found = _orthogonal(rng.normal(size=d), basis)
    direction: FloatArray = found / np.linalg.norm(found)
    return direction


def condition(values: FloatArray) -> float:
    """Largest by least eigenvalue, at most 1 / FLOOR; 1 for a Hessian of zeros.

    Example:
        >>> condition(np.array([4.0, 2.0, 0.5])), condition(np.array([1.0, 0.0]))
        (8.0, 1000000000000.0)
    """
    if values[0] <= 0:
        return 1.0
    return float(values[0] / max(values[-1], FLOOR * values[0]))
