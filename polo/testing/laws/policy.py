"""What every policy keeps, in eval mode unless a law says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polo.candidates import attach
from polo.data import PAD, Ragged, Rows
from polo.protocols import DrawsItems, Embeds, ExtraLoss, Fits, PlacesItems, Policy, ScoresMany, TopItems
from polo.randomness import RowRandom
from polo.testing.subject import Subject

_ROWS = 8
#: items of a row that are scored
_LIST = 6
#: what two ways of computing one float32 score may differ by
_NEAR = 1e-3
_UNITS = ("logprob", "similarity")
_POOLS = ("candidates", "catalogue")


@dataclass(frozen=True)
class Shown:
    """A policy with rows and items to score."""

    policy: Policy
    rows: Rows
    items: Tensor

    def scores(self, rows: Rows | None = None, items: Tensor | None = None) -> Tensor:
        """Scores without gradient."""
        with torch.no_grad():
            return self.policy.score(rows or self.rows, self.items if items is None else items)


def says_what_it_scores(subject: Subject) -> None:
    """`unit` is logprob or similarity, `pool` is candidates or catalogue, and log-probabilities are at most 0."""
    shown = _shown(subject)
    assert shown.policy.unit in _UNITS, f"unit {shown.policy.unit!r} is none of {', '.join(_UNITS)}"
    assert shown.policy.pool in _POOLS, f"pool {shown.policy.pool!r} is none of {', '.join(_POOLS)}"
    if shown.policy.unit == "logprob":
        assert (shown.scores() <= 0).all(), "log-probabilities are at most 0"


def scores_every_item(subject: Subject) -> None:
    """A finite score `[B, n]` of each item of each row, and `tokens` of at least 1 in the same shape."""
    shown = _shown(subject)
    scores, tokens = shown.scores(), shown.policy.tokens(shown.items)
    assert scores.shape == shown.items.shape, f"scores {tuple(scores.shape)} of items {tuple(shown.items.shape)}"
    assert scores.is_floating_point(), f"scores are floats, not {scores.dtype}"
    assert scores.isfinite().all(), "scores are finite"
    assert tokens.shape == shown.items.shape, "a number of tokens for each item"
    assert (tokens >= 1).all(), "a score sums over one token or more"


def scores_alike_again(subject: Subject) -> None:
    """In eval mode, calling twice gives the same scores."""
    shown = _shown(subject)
    assert torch.equal(shown.scores(), shown.scores()), "calling twice in eval mode gives the same scores"


def minds_no_order_of_items(subject: Subject) -> None:
    """An item's score depends on the row and the item alone, not on its place or the items beside it."""
    shown = _shown(subject)
    order = torch.arange(_LIST).flip(0)
    turned = shown.scores(items=shown.items[:, order])
    assert _near(shown.scores()[:, order], turned), "an item's score does not depend on its place"
    few = shown.scores(items=shown.items[:, :2])
    assert _near(shown.scores()[:, :2], few), "an item's score does not depend on those beside it"


def rows_stand_alone(subject: Subject) -> None:
    """A row's scores do not depend on other rows, so that a batch can be cut into passes."""
    shown = _shown(subject)
    some = np.array([5, 0, 3])
    part = shown.scores(shown.rows[some], shown.items[torch.from_numpy(some)])
    whole = shown.scores()[torch.from_numpy(some)]
    assert _near(whole, part), "a row's scores depend on that row alone"


def learns_through_its_module(subject: Subject) -> None:
    """Gradient of the scores reaches trainable parameters of `module`, and is finite."""
    shown = _shown(subject)
    trained = [p for p in shown.policy.module.parameters() if p.requires_grad]
    assert trained, "module has parameters that are trained"
    scores = shown.policy.score(shown.rows, shown.items)
    assert scores.requires_grad, "scores carry a gradient while autograd is on"
    torch.autograd.backward(scores.double().square().sum())
    reached = [p.grad for p in trained if p.grad is not None]
    assert any((grad != 0).any() for grad in reached), "the gradient reaches parameters of module"
    assert all(grad.isfinite().all() for grad in reached), "the gradient is finite"


def weights_go_through_a_folder(subject: Subject) -> None:
    """`save` and `load` carry what was trained: another policy then scores alike."""
    shown = _shown(subject)
    _train(shown.policy)
    folder = subject.empty_folder()
    shown.policy.save(folder)
    other = _shown(subject)
    assert not _near(shown.scores(), other.scores()), "trained weights give other scores"
    other.policy.load(folder)
    assert _near(shown.scores(), other.scores()), "what was saved scores alike where it is loaded"


def starts_from_the_seed(subject: Subject) -> None:
    """Two policies built with one seed score alike."""
    assert torch.equal(_shown(subject).scores(), _shown(subject).scores()), "one seed gives one policy"


def fingerprint_is_not_of_weights(subject: Subject) -> None:
    """The fingerprint is the same for two policies built alike, and stays so while weights are trained."""
    shown = _shown(subject)
    before = shown.policy.fingerprint()
    _train(shown.policy)
    assert before, "a fingerprint"
    assert before == shown.policy.fingerprint() == _shown(subject).policy.fingerprint(), "the fingerprint stays"


def keys_tell_what_is_computed(subject: Subject) -> None:
    """Keys are 16 bytes a row, the same for the same row and items, others where scores are others."""
    shown = _shown(subject)
    keys = shown.policy.keys(shown.rows, shown.items)
    assert len(keys) == len(shown.rows), "a key of each row"
    assert {len(key) for key in keys} == {16}, "a key has 16 bytes"
    assert keys == shown.policy.keys(shown.rows, shown.items), "the same rows have the same keys"
    turned = shown.policy.keys(shown.rows, shown.items.flip(1))
    assert not set(keys) & set(turned), "items in another order have another key"
    same = torch.tensor([0]).expand(len(shown.rows), 1)
    scores, own = shown.scores(items=same)[:, 0].tolist(), shown.policy.keys(shown.rows, same)
    told = dict(zip(own, scores, strict=True))
    assert all(abs(told[key] - score) < 1e-3 for key, score in zip(own, scores, strict=True)), "one key, one score"


def cost_is_counted(subject: Subject) -> None:
    """`cost` is a whole number of at least 1 for each row, and does not fall with the number of items."""
    shown = _shown(subject)
    few, many = shown.policy.cost(shown.rows, 1), shown.policy.cost(shown.rows, _LIST)
    assert few.shape == many.shape == (len(shown.rows),), "a cost of each row"
    assert few.dtype == np.int64, f"cost is int64, not {few.dtype}"
    assert (few >= 1).all(), "a row costs something"
    assert (many >= few).all(), "more items cost no less"


def terms_of_its_own_are_numbers(subject: Subject) -> None:
    """`extra_loss` gives finite numbers by name, to be added to the mean loss of a step; or none."""
    shown = _shown(subject)
    terms = shown.policy.extra_loss(shown.rows, shown.items) if isinstance(shown.policy, ExtraLoss) else {}
    for name, term in terms.items():
        assert term.shape == (), f"the term {name!r} is one number, not of shape {tuple(term.shape)}"
        assert term.isfinite(), f"the term {name!r} is finite"


def shortcuts_score_alike(subject: Subject) -> None:
    """What else it offers (vectors, long lists, best items of the catalogue) agrees with `score`."""
    shown = _shown(subject)
    policy, rows, n = shown.policy, shown.rows, len(subject.splits.items)
    if policy.pool == "candidates":
        return
    everything = torch.arange(n).expand(len(rows), -1)
    scores = shown.scores(items=everything)
    if isinstance(policy, Embeds):
        with torch.no_grad():
            for users, items in ((policy.user_vectors(rows), policy.item_vectors()), policy.vectors(rows)):
                assert _near(users @ items.T, scores), "a score is the product of the two vectors"
    if isinstance(policy, ScoresMany):
        many = policy.score_many(rows, everything, 1 << 14)
        assert _near(many.to(scores.dtype), scores), "score_many is score"
    if isinstance(policy, TopItems):
        top = policy.top_items(rows, 3)
        assert not (top.items[top.proven] == PAD).any(), "a proven place has an item"
        best = scores.double().topk(3, dim=1).values.numpy()
        assert np.allclose(top.scores, best, rtol=_NEAR, atol=_NEAR), "top_items are the best by score"
    if isinstance(policy, PlacesItems):
        (placed,) = policy.place_items(rows, 3, Ragged.of([list(range(n))] * len(rows)))
        found, own = placed.score.reshape(-1, n), scores.double().numpy()
        assert np.allclose(found, own, rtol=_NEAR, atol=_NEAR), "place_items knows each asked item's score"
        above, tied = (x.reshape(-1, n) for x in (placed.above, placed.tied))
        assert placed.exact.all(), "place_items finds every place"
        assert (above == (found[:, None] > found[..., None]).sum(axis=2)).all(), "as many are above as score higher"
        assert (tied == (found[:, None] == found[..., None]).sum(axis=2) - 1).all(), "others that score the same tie"
    if isinstance(policy, DrawsItems):
        drawn = policy.draw_items(rows, n, RowRandom("drawn"))
        assert (np.sort(drawn.items, axis=1) == np.arange(n)).all(), "as many draws as there are items draw each once"
        assert np.allclose(np.exp(drawn.logq).sum(axis=1), 1.0, rtol=_NEAR), "their probabilities sum to 1"


def _shown(subject: Subject) -> Shown:
    policy: Policy = subject.new()
    policy.start_stage("check")
    policy.module.eval()
    splits = subject.splits
    rows = splits.test[:_ROWS]
    if policy.pool == "candidates":
        rows = attach(splits, rows, n=_LIST, negatives="uniform", seed=0, known=splits.known_all)
    if isinstance(policy, Fits):
        assert policy.fits(rows).all(), "the rows of the check fit it: give options with more room"
    rng = np.random.default_rng(0)
    lists = rows.candidates
    if lists is None:
        lists = np.stack([rng.choice(len(splits.items), _LIST, replace=False) for _ in range(len(rows))])
    return Shown(policy, rows, torch.from_numpy(np.ascontiguousarray(lists, np.int64)))


def _near(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=_NEAR, atol=_NEAR)


def _train(policy: Policy) -> None:
    """Moves what is trained, as training would."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
                parameter.add_(noise.to(parameter.dtype), alpha=0.5)


LAWS = (
    says_what_it_scores,
    scores_every_item,
    scores_alike_again,
    minds_no_order_of_items,
    rows_stand_alone,
    learns_through_its_module,
    weights_go_through_a_folder,
    starts_from_the_seed,
    fingerprint_is_not_of_weights,
    keys_tell_what_is_computed,
    cost_is_counted,
    terms_of_its_own_are_numbers,
    shortcuts_score_alike,
)
