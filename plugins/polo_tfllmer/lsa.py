"""The encoder ``lsa``: what texts say, without a model. Knows words, counts and a singular value decomposition."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from polo import Context, FloatArray, InputError, ItemTable, Splits
from polo_tfllmer.linear import same_signs
from polo_tfllmer.options import LSAOptions
from polo_tfllmer.prints import print_of
from polo_tfllmer.texts import texts_of

_WORD = re.compile(r"\w+")
#: numbers of a matrix that is decomposed whole
_WHOLE = 1 << 22
#: singular values below this share of the largest are rounding
_NOTHING = 1e-10


def terms(text: str, longest: int) -> Iterator[str]:
    """Words in lower case, and runs of up to ``longest`` of them.

    Example:
        >>> list(terms("Ocean's 11!", 2))
        ['ocean', 's', '11', 'ocean s', 's 11']
    """
    words = _WORD.findall(text.lower())
    for n in range(1, longest + 1):
        yield from (" ".join(words[i : i + n]) for i in range(len(words) - n + 1))


def tf_idf(texts: list[str], ngrams: int, min_items: int) -> sparse.csr_array:
    """``[n, terms]``: ``(1 + log tf) * (1 + log((1 + n) / (1 + df)))``, rows of length 1, terms in alphabetical order.

    Salton & Buckley, Inf. Proc. & Management 24(5), 1988. A text without a known term is a row of zeros.

    Raises:
        InputError: no term is said of ``min_items`` items.

    Example (both hold "a": 1 + log(3/3) = 1; one holds "b": 1 + log(3/2) = 1.405, of length 1.725):
        >>> tf_idf(["a", "a b"], 1, 1).toarray().round(3).tolist()
        [[1.0, 0.0], [0.58, 0.815]]
    """
    counts = [Counter(terms(text, ngrams)) for text in texts]
    of_items = Counter(term for one in counts for term in one)
    known = {term: at for at, term in enumerate(sorted(t for t, df in of_items.items() if df >= min_items))}
    if not known:
        raise InputError(
            f"no term is said of {min_items} items", where="encoder", fix="lower min_items, or name other columns"
        )
    entries = [(row, known[t], tf) for row, one in enumerate(counts) for t, tf in one.items() if t in known]
    rows, columns, tf = (np.array(part) for part in zip(*entries, strict=True))
    df = np.bincount(columns, minlength=len(known))
    weights = (1 + np.log(tf)) * (1 + np.log((1 + len(texts)) / (1 + df)))[columns]
    length = np.sqrt(np.bincount(rows, weights**2, minlength=len(texts)))
    return sparse.csr_array((weights / length[rows], (rows, columns)), shape=(len(texts), len(known)))


class LSA:
    """Latent semantic analysis: ``U_k S_k`` of ``X = U S V^T``, X the TF-IDF of texts, not centred. Float64.

    Deerwester et al., JASIS 41(6), 1990. Items of one text have one vector; an item without a known term has zeros.
    The sign of each column makes its largest entry positive.

    Example:
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> LSA(LSAOptions(k=4), context(splits=splits)).vectors(splits.items, splits).shape
        (20, 4)
    """

    def __init__(self, options: LSAOptions, context: Context) -> None:
        self.options = options

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        o = self.options
        matrix = tf_idf(texts_of(items, o.columns), o.ngrams, o.min_items)
        k, least = o.k, min(matrix.shape)
        if k >= least or matrix.shape[0] * matrix.shape[1] <= _WHOLE:
            u, s, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
        else:  # a start that no order of items or terms changes
            u, s, _ = svds(matrix, k=k, v0=np.ones(least), solver="arpack")
            u, s = u[:, ::-1], s[::-1]
        found = np.zeros((len(items), k))
        there = s[:k] > _NOTHING * s[0]
        found[:, : len(there)] = np.where(there, u[:, : len(there)] * s[: len(there)], 0.0)
        found[np.diff(matrix.indptr) == 0] = 0.0  # but for rounding they are that already
        return same_signs(found)

    def fingerprint(self) -> str:
        return print_of("lsa", self.options)
