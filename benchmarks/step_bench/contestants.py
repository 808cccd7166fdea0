"""The forms of one training step that are compared: ours, the published one, and the rungs between them.

A contestant turns users into a loss and leaves the gradient in its model. All have the same weights, and the loss is
DMPO over boundary negatives with dual-margin beta, as in DynamicPO (arXiv 2605.00327).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from polo import Choice, Context, RowRandom, Scores
from polo_causal_lm.engines.base import Engine, causal_lm
from polo_causal_lm.engines.packed import Packed
from polo_causal_lm.engines.split import Split, enable_split
from polo_causal_lm.loading import enable_checkpointing
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from polo_dynamicpo.boundary import Boundary
from polo_dynamicpo.dual_margin import DualMargin
from polo_dynamicpo.options import BoundaryOptions, DualMarginOptions
from polo_preference.losses.dmpo import Dmpo
from step_bench.world import Shape, random_model

#: seeds of the base weights, the policy's adapters and the reference's
BASE, POLICY, REFERENCE = 0, 1, 2
Selection = Literal["exact", "sklearn"]


class _Given:
    """A sampler that keeps what is there: the negatives of the benchmark are drawn already."""

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Tensor:
        return scores.valid_rejected


class Objective:
    """Boundary negatives, dual-margin beta and DMPO, as shipped.

    Args:
        selection: exact clusters on the device, or scikit-learn row by row; ``None``: all negatives with beta 1, which
            is plain DMPO.
    """

    def __init__(self, selection: Selection | None) -> None:
        context = Context(seed=0, cache=None, build=lambda choice: _Given())  # type: ignore[arg-type]
        options = BoundaryOptions(from_=Choice("sampler", "given"), method=selection or "exact")
        self._boundary = Boundary(options, context)
        self._plain = selection is None
        self._beta = DualMargin(DualMarginOptions(), context)
        self._loss = Dmpo(None, context)

    def select(self, scores: Scores) -> tuple[Tensor, Tensor]:
        """Which negatives enter the loss, and how strongly."""
        bare = scores.detach()
        if self._plain:
            return bare.valid_rejected, torch.ones_like(bare.rejected)
        keep = self._boundary.keep(bare, RowRandom(0, "benchmark"), 0.0)
        return keep, self._beta(bare, keep, 0.0)

    def __call__(self, policy: Tensor, ref: Tensor) -> Tensor:
        scores = Scores.of(policy, ref=ref)
        return self._loss(scores, *self.select(scores)).mean()


@dataclass(frozen=True)
class Form:
    """One way to compute a step; each rung of the ladder changes one field.

    Args:
        live: the reference is a second model that scores in every step, not a cache.
        checkpointing: reentrant, as published.
        selection: of the boundary negatives.
        logits: at all positions, or only where a title token is predicted.
        layout: concatenated rows; one packed row a user; flat rows with split attention.
        fast: what polo puts in place of single layers (see ``polo_causal_lm.engines.fast``).
    """

    name: str
    live: bool = True
    checkpointing: bool = True
    selection: Selection | None = "sklearn"
    logits: Literal["all", "titles"] = "all"
    layout: Literal["rows", "packed", "split"] = "rows"
    fast: bool = False


NAIVE = Form("naive")
_CACHED = replace(NAIVE, name="- second model (cached)", live=False)
_PLAIN = replace(_CACHED, name="- checkpointing", checkpointing=False)
_EXACT = replace(_PLAIN, name="+ exact selection", selection="exact")
_TITLES = replace(_EXACT, name="+ logits at titles only", logits="titles")
_PACKED = replace(_TITLES, name="+ shared prefix (packed)", layout="packed")
_SPLIT = replace(_PACKED, name="+ split attention", layout="split")
OURS = replace(_SPLIT, name="+ fast layers (as shipped)", fast=True)
LADDER = (NAIVE, _CACHED, _PLAIN, _EXACT, _TITLES, _PACKED, _SPLIT, OURS)
#: ours with the published settings: only layout and logits differ
SAME_MODE = replace(OURS, name="ours, checkpointing and live second model", live=True, checkpointing=True)


class Contestant:
    """A form with weights.

    Args:
        form: what to do.
        shape: of the models.
        cached: reference scores by users; read where the form has no live second model.
        dtype: of the frozen weights; in bfloat16 scores are computed under autocast, as trainers do.
        make: gives a model by the seed of its adapters; else random ones are made.
    """

    def __init__(
        self,
        form: Form,
        shape: Shape,
        cached: Callable[[Encoded], Tensor],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        make: Callable[[int], Any] | None = None,
    ) -> None:
        make = make or (lambda seed: random_model(shape, BASE, seed, device, dtype))
        self.form, self._cached, self._device, self._dtype = form, cached, torch.device(device), dtype
        self._objective = Objective(form.selection)
        self.loss = float("nan")
        self.model = make(POLICY)
        self._reference = make(REFERENCE).eval() if form.live else None
        if form.checkpointing:
            enable_checkpointing(causal_lm(self.model), reentrant=form.layout == "rows")
            if form.layout == "rows":
                # what reentrant checkpointing asks for over a frozen base; transformers' trainers do the same
                self.model.enable_input_require_grads()
        self._score_ref = self._cached if self._reference is None else self._scorer(self._reference)
        self.use(self.model)

    def use(self, model: Any) -> None:
        """Scores with ``model`` from now on."""
        self.model, self._score = model, self._scorer(model)

    def _scorer(self, model: Any) -> Callable[[Encoded], Tensor]:
        if self.form.layout == "rows":
            return lambda users: self._mixed(lambda: concatenated_logps(model, users, self.form.logits, self._device))
        engine = engine_of(self.form, model)
        scorer = CandidateScorer(model, engine)
        return lambda users: self._mixed(lambda: scorer(engine.layout(users, self._device)))

    def _mixed(self, score: Callable[[], Tensor]) -> Tensor:
        half = self._dtype == torch.bfloat16
        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            return score()

    def step(self, users: Encoded) -> None:
        """Leaves the gradient in the model and the loss in ``loss``."""
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            ref = self._score_ref(users)
        loss = self._objective(self._score(users), ref)
        loss.backward()
        self.loss = float(loss.detach())

    def scores(self, users: Encoded) -> Tensor:
        with torch.no_grad():
            return self._score(users)

    def gradient(self) -> Tensor:
        """Of all adapters, flat."""
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])


def engine_of(form: Form, model: Any) -> Engine:
    """The shipped engine for a form."""
    lm = causal_lm(model)
    if form.layout == "packed":
        return Packed(lm.config, {"full_attention": None}, lm.dtype)
    enable_split(lm, shorten=form.fast)
    return Split()


def concatenated_logps(model: Any, users: Encoded, logits: Literal["all", "titles"], device: torch.device) -> Tensor:
    """Every title behind a prompt of its own, padded on the right; log_softmax in float32 at all positions.

    This is how published trainers of several negatives score (``DynamicPO``, ``S-DPO``), with nothing of polo in it.
    """
    rows = [np.concatenate([p, t]) for p, titles in zip(users.prompts, users.titles, strict=True) for t in titles]
    prompts = [len(p) for p, titles in zip(users.prompts, users.titles, strict=True) for _ in titles]
    width = max(len(row) for row in rows)
    ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    scored = np.zeros((len(rows), width), np.bool_)
    for r, row in enumerate(rows):
        ids[r, : len(row)], mask[r, : len(row)] = row, 1
        scored[r, prompts[r] : len(row)] = True
    fed, attended, labelled = (torch.from_numpy(x).to(device) for x in (ids, mask, scored))
    labels, wanted = fed[:, 1:], labelled[:, 1:]
    if logits == "titles":
        states = causal_lm(model).get_decoder()(input_ids=fed, attention_mask=attended, use_cache=False)
        picked = causal_lm(model).lm_head(states.last_hidden_state[:, :-1][wanted]).float()
        each = picked.log_softmax(-1).gather(1, labels[wanted][:, None])[:, 0]
        summed = torch.zeros(len(rows), device=device).index_add(0, wanted.nonzero()[:, 0], each)
    else:
        output = model(input_ids=fed, attention_mask=attended, use_cache=False).logits.float()[:, :-1]
        each = output.log_softmax(-1).gather(2, labels[:, :, None])[:, :, 0]
        summed = (each * wanted).sum(-1)
    return summed.view(len(users), -1)


def agreeing_users(draw: Callable[[int], Encoded], scores: Callable[[Encoded], Tensor], seed: int) -> Encoded:
    """The first draw from ``seed`` on for which scikit-learn finds the exact clusters.

    It does not in a quarter to half of rows; losses then differ because the selections do, and could not be compared.
    """
    exact, published = Objective("exact"), Objective("sklearn")
    for attempt in range(1000):
        users = draw(seed + 1000 * attempt)
        found = Scores.of(scores(users))
        if torch.equal(exact.select(found)[0], published.select(found)[0]):
            return users
    raise RuntimeError("no draw on which both selections agree")
