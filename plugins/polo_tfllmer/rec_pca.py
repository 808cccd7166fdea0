"""The encoder ``rec_pca``: fewer dimensions that keep what texts say and follow what is taken together."""

from __future__ import annotations

import numpy as np

from polo import Choice, Context, FloatArray, ItemTable, Splits
from polo_tfllmer.graph import laplacian, together
from polo_tfllmer.linear import directions, mean_of, project, scatter, through
from polo_tfllmer.options import PCAOptions, RecPCAOptions, WhitenOptions
from polo_tfllmer.transform import Transform


class RecPCA(Transform[RecPCAOptions]):
    """Rec-PCA of TF-LLMER, arXiv 2604.20490. Its equations could not be read; what follows is inferred from its
    summary (reduction that keeps semantic information and penalises total variation on an item-item graph), and each
    choice is an option.

    With ``X [n, d]`` the given vectors, ``m`` their mean, A the graph of training sequences and L its Laplacian::

        C = (X - 1 m^T)^T (X - 1 m^T)              variance
        T = (X - 1 m^T)^T L (X - 1 m^T)            total variation: sum_{i<j} a_ij |x_i - x_j|^2 for L = D - A
        ratio:       C w = v (I + lambda * d/tr(T) * T) w: the k leading ones, then an orthonormal basis of their span
        difference:  W = argmax tr(W^T (C - lambda * tr(C)/tr(T) * T) W)  with W^T W = I: its k leading eigenvectors
        Z = (X - 1 m^T) W

    lambda has no unit, and at 0 both are PCA. Texts say little of who takes an item: total variation is nearly in
    proportion to variance in every direction (within 6 % in nine of ten principal directions of titles), so that
    ``difference`` is PCA until lambda comes near 1, and beyond it takes directions with next to no variance. ``ratio``
    goes over smoothly. A graph without edges, or vectors without variation along it, give PCA. Items without edges have
    no total variation. Float64; the sign of each column of Z makes its largest entry positive. Time
    O(n d^2 + nnz(A) d + d^3); no matrix ``[n, n]`` is made but the sparse A.

    Example:
        >>> from polo.testing import context, small_splits
        >>> from polo_tfllmer.lsa import LSA, LSAOptions
        >>> splits = small_splits(users=3, items=20)
        >>> made = context(splits=splits, build=lambda choice: LSA(choice.options, context()))
        >>> RecPCA(RecPCAOptions(k=2), made).vectors(splits.items, splits).shape
        (20, 2)
    """

    name = "rec_pca"

    def __init__(self, options: RecPCAOptions, context: Context) -> None:
        super().__init__(options, context)
        self._say = context.say

    @staticmethod
    def peers(options: RecPCAOptions) -> list[Choice]:
        """The same dimensions by variance alone, as they are and whitened."""
        inner, k = options.from_, options.k
        return [
            Choice("encoder", "pca", PCAOptions(from_=inner, k=k)),
            Choice("encoder", "whiten", WhitenOptions(from_=inner, k=k)),
        ]

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        o = self.options
        x = self.inner.vectors(items, splits)
        mean = mean_of(x)
        c = scatter(x, mean)
        t = np.zeros_like(c)
        if o.lambda_:
            graph = together(splits.sequences, len(items), o.window)
            t = through(x, mean, laplacian(graph, o.laplacian))
        w = self.reduce(c, t)
        share = float(np.trace(w.T @ c @ w) / max(np.trace(c), np.finfo(float).tiny))
        self._say(f"rec_pca: {w.shape[1]} of {len(c)} dimensions keep {share:.1%} of the variance")
        return project(x, mean, w)

    def reduce(self, c: FloatArray, t: FloatArray) -> FloatArray:
        """W ``[d, k]``, orthonormal, from C and T."""
        o, total = self.options, float(np.trace(t))
        if not o.lambda_ or total <= 0:
            return directions(c, o.k)[1]
        if o.form == "difference":
            return directions(c - o.lambda_ * float(np.trace(c)) / total * t, o.k)[1]
        beside = np.eye(len(c)) + o.lambda_ * len(c) / total * t
        basis: FloatArray = np.linalg.qr(directions(c, o.k, beside)[1])[0]
        return basis
