"""The gradient of one optimiser step: draw, score, keep, beta, loss, backward.

The batch is split into passes by tokens and over processes by rows; neither changes the gradient. Row-wise heads run
pass by pass. When a head needs the whole batch, all scores are computed first, the head sees them at once as a leaf,
and the leaf's gradient is pushed back through each pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from polo.data import IntArray, Rows
from polo.model.catalogue import scored_with_total
from polo.model.passes import pieces
from polo.model.peeking import looking
from polo.model.seeding import seed_device
from polo.model.sharding import agreed, exchanging
from polo.protocols import AfterStep, BeforeStep, Embeds, OnHost, Policy
from polo.randomness import RowRandom, seed_of
from polo.scores import Draw, Scores
from polo.sending import sent
from polo.train.extra import Extra
from polo.train.judged import Judged as Judged
from polo.train.judged import blame, normalise
from polo.train.objective import Objective


class Stepper:
    """Computes gradients for batches of one stage.

    Args:
        policy: the policy; ``policy.module`` is already wrapped for the processes at hand.
        objective: sampler, beta, loss and reference of the stage.
        accelerator: knows ranks and devices.
        tokens_per_pass: memory limit of one forward.
        key: words that name the stage's randomness, such as ``(seed, "prefer")``.
    """

    def __init__(
        self,
        policy: Policy,
        objective: Objective,
        accelerator: Accelerator,
        tokens_per_pass: int,
        key: tuple[int | str, ...],
    ) -> None:
        self._policy, self._objective, self._accelerator = policy, objective, accelerator
        self._budget, self._key = tokens_per_pass, key
        #: the policy without gradients and dropout
        self.peek = looking(policy, tokens_per_pass)
        self._extra, self._on_host = Extra(policy, accelerator), isinstance(policy, OnHost)
        self._sums = torch.zeros(2)
        components = [component for _, component in objective.components]
        self._before = [one for one in (policy, *components) if isinstance(one, BeforeStep)]
        self._after = [one for one in components if isinstance(one, AfterStep)]

    # -- drawing and scoring ------------------------------------------------------------------------------------

    def draw(self, rows: Rows, epoch: int) -> Draw:
        """The negatives of ``rows`` in this epoch; the same on every rank."""
        if self._objective.sampler is None:
            return Draw.none(len(rows))
        return self._objective.sampler.draw(rows, RowRandom(*self._key, "draw", epoch), self.peek)

    def _bundle(self, rows: Rows, draw: Draw, partner: IntArray | None) -> tuple[Tensor, Callable[[Tensor], Scores]]:
        """The items to score, and what makes the bundle of what :meth:`_score` gives for them.

        The reference has its turn before the policy, so that no graph is held meanwhile.
        """
        device = self._accelerator.device
        items = draw.beside(rows)[0]
        items = items.cpu() if self._on_host else sent(items, device)
        reference = self._objective.reference
        ref = None if reference is None else reference.score(rows, items)
        tokens = sent(self._policy.tokens(items), device)
        other = None if partner is None else sent(partner[:, None], items.device)
        mismatched = None if other is None else self._mismatched(rows, other)

        def bundle(scored: Tensor) -> Scores:
            policy, total = scored[:, : items.shape[1]], scored[:, items.shape[1] :]
            return Scores.of_draw(
                rows, draw, policy, ref=ref, tokens=tokens, mismatched=mismatched,
                log_total=total[:, 0] if total.shape[1] else None, unit=self._policy.unit,
            )  # fmt: skip

        return items, bundle

    def _score(self, rows: Rows, items: Tensor) -> Tensor:
        """Scores ``[B, n]``, and in one more column what the whole catalogue scores if a component needs it."""
        if self._objective.needs("catalogue") and isinstance(self._policy, Embeds):
            return scored_with_total(self._policy, rows, items)
        return self._policy.score(rows, items)

    def _mismatched(self, rows: Rows, other: Tensor) -> Tensor:
        """Log-ratio of another row's target under this row's prompt, without gradient (KTO's KL estimate)."""
        ratio = self.peek(rows, other)
        if self._objective.reference is not None:
            ratio = ratio - self._objective.reference.score(rows, other)
        return ratio[:, 0]

    def _seed(self, step: int, number: int) -> None:
        """Dropout of this pass; the same when the pass is computed twice."""
        seed = seed_of(*self._key, "dropout", step, self._accelerator.process_index, number)
        seed_device(seed, self._accelerator.device)

    def judge(self, scores: Scores, epoch: int, progress: float) -> Judged:
        """Keep, beta and loss of scored rows."""
        bare = scores.detach()
        if self._objective.sampler is None:
            keep = bare.valid_rejected
        else:
            keep = (
                self._objective.sampler.keep(bare, RowRandom(*self._key, "keep", epoch), progress) & bare.valid_rejected
            )
        if self._objective.beta is None:
            beta = torch.ones_like(bare.rejected)
        else:
            beta = self._objective.beta(bare, keep, progress).detach()
            keep = keep & (beta > 0)  # a beta of 0 takes a pair out of the loss (and its row out of the mean)
        loss = self._objective.loss(scores, keep, beta)
        counted = (
            keep.any(dim=1) if "negatives" in self._objective.loss.needs else torch.ones_like(loss, dtype=torch.bool)
        )
        return Judged(scores.detach(), keep, beta, loss, counted)

    def judged_at(self, rows: Rows, draw: Draw, policy: Tensor, ref: Tensor) -> Judged:
        """What the objective makes of given scores; for the check before the first step."""
        partner = rows.target if self._objective.needs("mismatched") else None
        scores = self._bundle(rows, draw, partner)[1](policy)
        mismatched = None if scores.mismatched is None else torch.zeros_like(scores.mismatched)
        with torch.no_grad():
            return self.judge(replace(scores, ref=ref, mismatched=mismatched), 0, 0.0)

    # -- gradients ----------------------------------------------------------------------------------------------

    def backward(self, rows: Rows, step: int, epoch: int, progress: float) -> list[Judged]:
        """Leaves the gradient of the batch's loss in the parameters; ``rows`` is the batch of all ranks.

        The loss of a batch is the mean over its rows plus the policy's own terms, whose values :attr:`extra` has.

        Returns:
            What was judged on this rank, pass by pass.

        Raises:
            PoloError: a loss is not finite; names the row. On a GPU, where asking would wait for it, :meth:`check` says
                so, at the latest before anything is written.
        """
        draw = self.draw(rows, epoch)
        rank, world = self._accelerator.process_index, self._accelerator.num_processes
        mine = np.arange(rank, len(rows), world)
        idle = not len(mine)  # in a batch with fewer rows than processes: takes part with a row that counts for nothing
        if idle:
            mine = np.zeros(1, dtype=np.int64)
        # the other row of a mismatched pair is the next one of the whole batch, whatever the number of processes
        partner = np.roll(rows.target, -1)[mine] if self._objective.needs("mismatched") else None
        own, drawn = rows[mine], draw[torch.from_numpy(mine)]
        for told_before in self._before:
            told_before.before_step(step)
        groups = self._passes(own, 1 + draw.items.shape[1])
        of_all = groups if world == 1 else self._passes(rows, 1 + draw.items.shape[1])
        cut = any(columns != slice(None) for _, columns in of_all)
        groups = [] if idle else groups
        count = max(1, agreed(self._policy.module, len(groups)))
        if cut or partner is not None or self._objective.needs("whole_batch"):
            judged = self._whole_batch(own, drawn, partner, groups, count, step, epoch, progress, cut=cut)
        else:
            judged = self._row_wise(own, drawn, [index for index, _ in groups], count, step, epoch, progress)
        self._sums = normalise(self._policy.module, judged, self._accelerator)
        self._extra.add(rows, draw, seed_of(*self._key, "extra", step))
        for told_after in self._after:
            told_after.after_step(step)
        if self._accelerator.device.type == "cpu":
            self.check(judged)
        return judged

    def check(self, judged: list[Judged]) -> None:
        """Reads whether the last step's loss was finite.

        Args:
            judged: what :meth:`backward` gave for it.

        Raises:
            PoloError: it was not; names the row, or the policy's own term.
        """
        if self._sums[1].item():
            blame(judged)
        self._extra.check()

    @property
    def extra(self) -> dict[str, float]:
        """Values of the policy's own terms in the last step, by name; to read them is to wait for them."""
        return self._extra.values

    def _passes(self, rows: Rows, n: int) -> list[tuple[IntArray, slice]]:
        """Rows and columns of each pass. With the sum over a whole catalogue, which is one product, no row is cut."""
        whole = self._objective.needs("catalogue")
        return pieces(lambda width: self._policy.cost(rows, n if whole else width), n, self._budget)

    def _row_wise(
        self, rows: Rows, draw: Draw, groups: list[IntArray], count: int, step: int, epoch: int, progress: float
    ) -> list[Judged]:
        """Pass by pass; passes from ``len(groups)`` up to ``count`` only take part in those of other processes."""
        judged = []
        for number in range(count):
            index = groups[number] if number < len(groups) else np.zeros(1, dtype=np.int64)
            items, bundle = self._bundle(rows[index], draw[torch.from_numpy(index)], None)
            self._seed(step, number)
            with self._sync(last=number == count - 1):
                scored = self._score(rows[index], items)
                if number >= len(groups):
                    self._accelerator.backward(scored.sum() * 0.0)
                    continue
                one = self.judge(bundle(scored), epoch, progress)
                self._accelerator.backward((one.loss * one.counted).sum() * self._accelerator.num_processes)
            judged.append(replace(one, loss=one.loss.detach()))
        return judged

    def _whole_batch(
        self,
        rows: Rows,
        draw: Draw,
        partner: IntArray | None,
        groups: list[tuple[IntArray, slice]],
        count: int,
        step: int,
        epoch: int,
        progress: float,
        *,
        cut: bool,
    ) -> list[Judged]:
        """Scores first, then one call of the head, then the leaf's gradient back through each pass.

        A pass is some rows, and some of their columns where one is ``cut``. Passes from ``len(groups)`` up to ``count``
        only take part in those of other processes.
        """
        items, bundle = self._bundle(rows, draw, partner)
        once = len(groups) == 1 and self._accelerator.num_processes == 1
        places = [sent(index, self._accelerator.device) for index, _ in groups]
        fed = [*groups, *[(np.zeros(1, dtype=np.int64), slice(None))] * (count - len(groups))]

        def score(number: int) -> Tensor:
            index, columns = fed[number]
            self._seed(step, number)
            return self._score(rows[index], items[sent(index, items.device), columns])

        with torch.set_grad_enabled(once):
            scored = [score(number) for number in range(len(fed))]
        width = items.shape[1] if cut else scored[0].shape[1]
        leaf = scored[0].detach().new_zeros(len(rows), width)
        for place, (_, columns), found in zip(places, groups, scored, strict=False):
            leaf[place, columns] = found.detach()
        mine = bundle(leaf.requires_grad_())
        if not groups:
            mine = mine.map(lambda t: t[:0])
        everything, own = self._gathered(mine)
        one = self.judge(everything, epoch, progress)
        (gradient,) = torch.autograd.grad((one.loss * one.counted).sum(), leaf)
        for number, (_, columns) in enumerate(fed):
            with self._sync(last=number == count - 1):
                if not once:
                    scored[number] = score(number)
                idle = number >= len(groups)
                weight = torch.zeros_like(scored[number]) if idle else gradient[places[number], columns]
                self._accelerator.backward((scored[number] * weight).sum() * self._accelerator.num_processes)
        return [
            Judged(
                one.scores.map(lambda t: t[own]), one.keep[own], one.beta[own], one.loss.detach()[own], one.counted[own]
            )
        ]

    def _gathered(self, local: Scores) -> tuple[Scores, slice]:
        """The batch of all ranks, with gradient in this rank's rows, and where those stand."""
        if self._accelerator.num_processes == 1:
            return local, slice(0, len(local.rows))
        gathered: list[Scores] = gather_object([local.detach().map(lambda t: t.cpu())])
        rank = self._accelerator.process_index
        start = sum(len(one.rows) for one in gathered[:rank])
        device = local.policy.device
        everything = Scores.cat(
            [local if r == rank else one.map(lambda t: t.to(device)) for r, one in enumerate(gathered)]
        )
        return everything, slice(start, start + len(local.rows))

    def _sync(self, *, last: bool) -> Any:
        """Ranks exchange gradients in the last pass only."""
        return exchanging(self._policy.module, self._accelerator, now=last)
