"""Watches a preference stage for collapse: the loss goes down while the model ranks worse.

Looks at fixed validation rows with lists of candidates. Where lists are ranked they have been scored anyway, so that it
costs a reference pass over a few rows once and no forward of the policy; where a whole catalogue is ranked, short lists
of it are scored besides (arXiv 2605.00327, sec. 3, on why optimisation can collapse: easy negatives
take over the gradient). Knows scores and the objective; trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from polo.data import PAD, FloatArray, IntArray, Rows
from polo.protocols import Policy, Stateful
from polo.scores import Draw, Scores
from polo.train.objective import Objective
from polo.train.step import Judged, Stepper

#: validation rows that are watched; lists of 20 make 2,432 pairs of them
ROWS: Final = 128
#: a negative is at the boundary if the policy puts it above the chosen one with odds of at least 1 to 9
#: (sigmoid(s_negative - s_chosen) >= 0.1), else it is easy
BOUNDARY_NATS: Final = math.log(9)
#: hits must have fallen by this many standard errors of the rows' differences, and by this much. Three, because the
#: best of about ten looks is compared with each later one; at two, every second stage that only wavers would be called
ERRORS: Final = 3.0
FALL: Final = 0.01


class Monitor:
    """Figures of one stage at each validation, and whether it is collapsing.

    Args:
        policy: for tokens and the unit of scores.
        objective: the stage's sampler, beta, loss and reference.
        stepper: judges scores as in training.
        validation: rows with candidate lists; the first :data:`ROWS` are watched.
        remedies: components that are made against a collapse, as a warning names them.
    """

    def __init__(
        self, policy: Policy, objective: Objective, stepper: Stepper, validation: Rows, remedies: Sequence[str] = ()
    ) -> None:
        self._policy, self._objective, self._stepper = policy, objective, stepper
        self._remedies = remedies
        #: what is watched
        self.rows = validation[:ROWS]
        # KTO's pairs come from other rows' prompts, and not all items have been scored here
        unknown = objective.needs("mismatched") or objective.needs("catalogue")
        able = objective.sampler is not None and not unknown
        #: whether there is anything to look at
        self.watching = able and _listed(validation) and len(validation) > 1
        self._best: tuple[int, FloatArray, float] | None = None

    def look(self, scores: FloatArray, truth: IntArray, progress: float) -> dict[str, float]:
        """Loss, rewards, boundary negatives, beta and gradient at this point.

        Args:
            scores: ``[N, n]`` of all validation lists, by the policy as it is now.
            truth: ``[N]`` column of the target.
            progress: from 0 to 1 over the stage.

        Returns:
            ``valid/loss``; with a reference ``valid/rewards/accuracies``, ``valid/log_ratio/chosen`` and
            ``valid/log_ratio/rejected`` (nats; ``/mean``: per token); ``valid/boundary`` (share of negatives at the
            boundary), ``valid/kept`` (share that enters the loss), ``valid/beta`` (mean over those), and
            ``valid/gradient_boundary`` and ``valid/gradient_easy`` (both kinds' shares of the summed absolute gradient
            of the loss with respect to the scores of negatives). Nothing for stages without negatives.
        """
        if not self.watching:
            return {}
        bundle = self._bundle(scores[: len(self.rows)], truth[: len(self.rows)])
        leaf = bundle.policy.requires_grad_()
        # looking must not change what is trained, whatever a component does when it is called
        states = [(one, one.state_dict()) for _, one in self._objective.components if isinstance(one, Stateful)]
        with torch.enable_grad():
            one = self._stepper.judge(bundle, 0, progress)
            total = (one.loss * one.counted).sum()
            gradient = torch.autograd.grad(total, leaf)[0][:, 1:].abs() if total.requires_grad else torch.zeros(())
        for component, state in states:
            component.load_state_dict(state)
        return _figures(one, gradient)

    def _bundle(self, scores: FloatArray, truth: IntArray) -> Scores:
        """Candidate lists as training sees them: the target in column 0, all others as drawn negatives."""
        rows = self.rows
        assert rows.candidates is not None
        device = next(self._policy.module.parameters()).device
        order = np.argsort(np.arange(scores.shape[1]) != truth[:, None], axis=1, kind="stable")
        items = torch.from_numpy(np.take_along_axis(rows.listed, order, axis=1)).to(device)
        real = torch.from_numpy(np.take_along_axis(rows.candidates, order, axis=1)[:, 1:] != PAD).to(device)
        reference = self._objective.reference
        drawn = items[:, 1:]
        # the list is the whole pool here: n negatives, each of probability 1 / n
        log_q = torch.full(drawn.shape, -math.log(max(1, drawn.shape[1])), device=device)
        return Scores.of_draw(
            rows,
            Draw(drawn, real, log_q),
            torch.from_numpy(np.take_along_axis(scores, order, axis=1)).float().to(device),
            ref=None if reference is None else reference.score(rows, items).float(),
            tokens=self._policy.tokens(items),
            unit=self._policy.unit,
        )

    def state_dict(self) -> dict[str, Any]:
        """The best point so far; empty before the first one."""
        if self._best is None:
            return {}
        step, hits, loss = self._best
        return {"step": step, "hits": torch.from_numpy(hits), "loss": loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best = (int(state["step"]), state["hits"].numpy(), float(state["loss"])) if state else None

    def collapse(self, step: int, hits: FloatArray, loss: float | None) -> str | None:
        """A warning if the loss is lower than at the best point so far while the hit ratio has fallen from it.

        Args:
            step: optimiser step.
            hits: ``[N]`` hit ratio at 1 of each validation row, always the same rows.
            loss: ``valid/loss``, ``None`` where there is none.
        """
        if loss is None:
            return None
        if self._best is None or hits.mean() > self._best[1].mean():
            self._best = (step, hits, loss)
            return None
        since, best, then = self._best
        fall = best - hits
        error = float(fall.std(ddof=1)) / math.sqrt(len(fall)) if len(fall) > 1 else math.inf
        if loss >= then or fall.mean() < max(FALL, ERRORS * error):
            return None
        tips = ["lower the learning rate", "raise beta", *(f"train with {one}" for one in self._remedies)]
        return (
            f"preference optimisation collapse: since step {since:,} the loss fell from {then:.3f} to {loss:.3f} while "
            f"validation HR@1 fell from {best.mean():.3f} to {hits.mean():.3f}. Stop earlier (select: best_valid), "
            f"{', '.join(tips[:-1])}, or {tips[-1]}"
        )


def _listed(rows: Rows) -> bool:
    """Whether there are lists, and more in them than the target."""
    return rows.candidates is not None and rows.candidates.shape[1] > 1


def _figures(one: Judged, gradient: torch.Tensor) -> dict[str, float]:
    scores, kept = one.scores, one.keep
    near = scores.chosen[:, None] - scores.rejected <= BOUNDARY_NATS
    real = scores.valid_rejected
    rows = max(1, int(one.counted.sum()))
    figures = {
        "valid/loss": float((one.loss.detach() * one.counted).sum()) / rows,
        "valid/boundary": float(near[real].float().mean()),
        "valid/kept": float(kept[real].float().mean()),
        "valid/beta": float(one.beta[kept].mean()) if kept.any() else 0.0,
    }
    if scores.ref is not None:
        ratio = scores.log_ratio
        ahead = (ratio[:, :1] > ratio[:, 1:]).float() + 0.5 * (ratio[:, :1] == ratio[:, 1:]).float()
        figures["valid/rewards/accuracies"] = float(ahead[real].mean())
        for suffix, value in (("", ratio), ("/mean", ratio / scores.tokens.clamp(min=1))):
            figures[f"valid/log_ratio/chosen{suffix}"] = float(value[:, 0].mean())
            figures[f"valid/log_ratio/rejected{suffix}"] = float(value[:, 1:][real].mean())
    whole = float(gradient.sum())
    if whole > 0:
        at_boundary = float(torch.where(near, gradient, 0.0).sum()) / whole
        figures |= {"valid/gradient_boundary": at_boundary, "valid/gradient_easy": 1 - at_boundary}
    return figures
