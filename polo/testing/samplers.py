"""The laws that every sampler keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo.data import PAD, Ragged, Rows, Splits
from polo.protocols import Drawing, Sampler, Top, gives_of
from polo.randomness import RowRandom
from polo.scores import Draw, Scores


def peek(rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """A stand-in for the policy: a fixed score of each (row, item), between -20 and 0."""
    rng = RowRandom("peek")
    scores = [[-20 * float(rng.uniform(np.array([r * 1009 + int(i)]), 1)[0, 0]) for i in line]
              for r, line in zip(rows.id.tolist(), items.tolist(), strict=True)]  # fmt: skip
    return torch.tensor(scores, dtype=torch.float64).reshape(items.shape)


class PeekAll:
    """The same stand-in for a policy that finds the best of ``n_items`` items itself."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def __call__(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        return peek(rows, items)

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None) -> Top:
        scores = peek(rows, torch.arange(self._n_items).expand(len(rows), -1)).numpy().copy()
        if without is not None:
            scores[np.repeat(np.arange(len(rows)), without.lengths), without.items] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, order, axis=1)
        there = np.isfinite(best)
        return Top(np.where(there, order, PAD), best, np.ones_like(there))


def scores_of(rows: Rows, draw: Draw) -> Scores:
    """Scores of a draw by :func:`peek`, with junk where the draw is not valid."""
    items, valid = draw.beside(rows)
    return Scores.of_draw(rows, draw, torch.where(valid, peek(rows, items), torch.nan))


def check_sampler(sampler: Sampler, splits: Splits, *, batchwise: bool = False, plants_known: bool = False) -> None:
    """Checks a sampler on the training rows of ``splits``.

    The laws: int64 items and a bool mask ``[B, K]``; valid items are different items of the catalogue, never the
    target, and (unless ``plants_known``) never in the shown history or known to have been consumed in training; within
    the row's list if there is one; the same draw every time; a row's draw depends on that row alone (unless
    ``batchwise``); ``keep`` marks valid negatives only, is the same every time, and leaves the scores as they are;
    ``log_q`` is there exactly if the attribute ``gives`` names it; no row has more negatives than ``k`` says.

    Raises:
        AssertionError: names the broken law.
    """
    rows = splits.train[:12]
    rng, looking = RowRandom(0, "stage", 0), PeekAll(len(splits.items))
    draw = sampler.draw(rows, rng, looking)
    _draw_laws(draw, rows, splits, plants_known)
    assert (draw.log_q is not None) == ("log_q" in gives_of(sampler)), "`gives` says whether log_q is there"
    if isinstance(sampler, Drawing) and sampler.k:
        assert draw.items.shape[1] <= sampler.k, f"no more negatives than `k` says, which is {sampler.k}"
    again = sampler.draw(rows, rng, looking)
    assert _same(draw, again), "the same draw every time"
    if not batchwise:
        some = np.array([7, 2, 5])
        assert _same(draw[torch.from_numpy(some)], sampler.draw(rows[some], rng, looking)), (
            "a row's draw depends on that row alone (else tag the component `batchwise`)"
        )
    scores = scores_of(rows, draw)
    for progress in (0.0, 0.5, 1.0):
        keep = sampler.keep(scores, rng, progress)
        assert keep.shape == draw.valid.shape, f"keep has shape {tuple(keep.shape)}"
        assert keep.dtype == torch.bool, f"keep is bool, not {keep.dtype}"
        assert not (keep & ~draw.valid).any(), "only valid negatives are kept"
        assert torch.equal(keep, sampler.keep(scores, rng, progress)), "keep is the same every time"
        empty = sampler.keep(replace(scores, valid=scores.valid & (torch.arange(scores.valid.shape[1]) == 0)), rng, 0.5)
        assert not empty.any(), "nothing valid, nothing kept"


def _same(a: Draw, b: Draw) -> bool:
    return torch.equal(a.valid, b.valid) and torch.equal(a.items[a.valid], b.items[b.valid])


def _draw_laws(draw: Draw, rows: Rows, splits: Splits, plants_known: bool) -> None:
    assert draw.items.dtype == torch.int64, f"items are int64, not {draw.items.dtype}"
    assert draw.valid.dtype == torch.bool, f"valid is bool, not {draw.valid.dtype}"
    assert draw.items.shape == draw.valid.shape, "items and valid have one shape"
    assert len(draw.items) == len(rows), "a draw of each row"
    assert draw.valid.any(), "some negatives are drawn"
    if draw.log_q is not None:
        assert draw.log_q.shape == draw.items.shape, "log_q has the shape of items"
        assert draw.log_q[draw.valid].isfinite().all(), "log_q is finite where valid"
    known = splits.known_train.has(rows.user, draw.items.numpy())
    for i in range(len(rows)):
        items = draw.items[i, draw.valid[i]].tolist()
        assert all(0 <= item < len(splits.items) for item in items), "items are of the catalogue"
        assert len(set(items)) == len(items), "the negatives of a row are different items"
        assert int(rows.target[i]) not in items, "the target is no negative"
        if rows.candidates is not None:
            assert set(items) <= set(rows.candidates[i].tolist()), "negatives are of the row's own list"
        if not plants_known:
            assert not set(items) & set(rows.history_of(i).tolist()), "the shown history holds no negatives"
            assert not known[i][draw.valid[i].numpy()].any(), "known positives are no negatives"
