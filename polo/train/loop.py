"""The training loop of one stage. Knows steps and when to measure, save and stop; knows no loss and no model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from polo.console import Console
from polo.data import Rows
from polo.errors import InputError, PoloError
from polo.evaluate.significance import interval
from polo.model.memory import kept_memory
from polo.model.sharding import clip
from polo.model.weights import restore, snapshot, trainable
from polo.protocols import AtZero, Average, Evaluator, Optimiser, Policy, Refresh, advice_of
from polo.recipe.model import Stage
from polo.train import checkpoint
from polo.train.averages import Mean
from polo.train.interrupt import Interrupt, Interrupted
from polo.train.monitor import ROWS, Monitor
from polo.train.objective import Objective
from polo.train.optimisers import grouped
from polo.train.order import Order
from polo.train.schedule import learning_rate, steps_of, validation_steps
from polo.train.step import Stepper
from polo.train.step_metrics import step_metrics
from polo.train.validation import figure_of, listed, look

#: nats by which policy and reference may differ before the first step, where they are the same weights
START_TOLERANCE = 0.05
#: resamples of an interval that is drawn, not tested: its ends are off by a few per cent of its width
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage with all it needs.

    Args:
        average: weighs the weights of the steps in their mean; ``None`` for no averaging.
        starts_at_reference: the reference holds the very weights that the stage starts from.
        validation: rows with candidate lists, or of the whole catalogue, on which the stage is measured.
        metric: what measurements are compared by; ``None`` for the hit ratio at 1 of the target.
        checkpoints: folder for checkpoints.
        log: receives each metric line.
        rewind: forgets the lines of a stage from a step on (-1: all of them); called before the first new one.
        saved: called on the first process after a checkpoint was written.
        resume_hint: how to go on after an interruption.
        remedies: what is made against a collapse, as a warning names it.
    """

    name: str
    stage: Stage
    seed: int
    policy: Policy
    objective: Objective
    optimiser: Optimiser
    average: Average | None = None
    starts_at_reference: bool
    rows: Rows
    validation: Rows
    metric: Evaluator | None = None
    accelerator: Accelerator
    console: Console
    checkpoints: Path
    log: Callable[[Mapping[str, Any]], None]
    rewind: Callable[[str, int], None]
    resume_hint: str
    saved: Callable[[], object] = lambda: None
    remedies: Sequence[str] = ()


def train(job: Job) -> None:
    """Trains ``job.policy`` in place, from the newest checkpoint if there is one.

    Raises:
        InputError: the stage must be measured, and there are no validation rows.
        Interrupted: a signal came; a checkpoint was written.
        PoloError: a loss is not finite, or the start-up check failed.
    """
    policy, stage, accelerator = job.policy, job.stage, job.accelerator
    _check_validation(job)
    policy.start_stage(job.name)
    parameters = list(trainable(policy.module).values())
    optimizer = job.optimiser(grouped(policy, trainable(policy.module), stage.weight_decay))
    stepper = Stepper(policy, job.objective, accelerator, stage.tokens_per_pass, (job.seed, job.name))
    order = Order(job.rows, stage.batch, policy, (job.seed, job.name))
    monitor = Monitor(policy, job.objective, stepper, listed(job.validation[:ROWS]), job.remedies)
    components = [*job.objective.components, ("monitor", monitor)]
    total = steps_of(stage, len(job.rows))
    measured = validation_steps(stage, total, order.steps)
    mean = Mean(policy.module, job.average, total, order.steps)
    progress = checkpoint.Progress()
    found = checkpoint.newest(job.checkpoints, job.name, job.console.say)
    if found is not None:
        progress = checkpoint.load(found, policy, optimizer, components)
        mean.put_back(progress.mean)
        job.console.say(f"{job.name}: going on from step {progress.step:,} of {total:,}")
    progress.mean = mean.weights
    job.rewind(job.name, progress.step if found is not None else -1)
    if progress.step == 0:
        if job.starts_at_reference:
            _check_start(job, stepper, order.batch(0)[0][:8])
        with mean.used():
            _validate(job, monitor, progress, total)
    policy.module.train()
    with Interrupt() as interrupt, kept_memory(accelerator.device.type):
        for step in job.console.track(range(progress.step, total), label=job.name):
            if _out_of_patience(job, progress):
                break
            began = time.monotonic()
            batch, epoch = order.batch(step)
            if step % order.steps == 0 and isinstance(job.objective.sampler, Refresh):
                job.objective.sampler.refresh(epoch, job.rows, stepper.peek)
            rate = learning_rate(stage, step, total)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            judged = stepper.backward(batch, step, epoch, step / total)
            norm = clip(parameters, stage.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            mean.take(step + 1)
            stepper.check(judged)  # here a GPU is waited for, and not before
            metrics = step_metrics(judged, accelerator, stepper.extra)
            metrics |= {"grad_norm": float(norm), "learning_rate": rate, "seconds": time.monotonic() - began}
            job.log({"stage": job.name, "step": step, "epoch": step * stage.batch / len(job.rows), **metrics})
            job.console.note(f"loss {metrics['loss']:.3f}")
            progress.step = step + 1
            if progress.step == total or progress.step in measured:
                with mean.used():
                    _validate(job, monitor, progress, total)
            due = stage.checkpoint and progress.step % stage.checkpoint == 0 and progress.step < total
            stop = _agree(interrupt.requested, accelerator)
            if due or stop:
                _save(job, optimizer, components, progress)
            if stop:
                raise Interrupted(
                    f"stopped after step {progress.step:,} of {total:,} of stage '{job.name}'; {job.resume_hint}"
                )
    if progress.step < total:
        job.console.say(
            f"{job.name}: ended after step {progress.step:,} of {total:,}: no measurement since step "
            f"{progress.best_step:,} was better (patience {stage.validate.patience})"
        )
    mean.hand_on()
    if stage.select == "best_valid" and progress.best:
        restore(policy.module, progress.best)
        whose = (
            f"the weights of step {progress.best_step:,}"
            if progress.best_step
            else ("the weights that it began with, as nothing was better")
        )
        job.console.say(f"{job.name}: hands on {whose} (validation {_called(job)} {progress.best_value:.3f})")
    if job.objective.reference is not None:
        job.objective.reference.flush()


def _check_validation(job: Job) -> None:
    if _measured(job):
        return
    for asking, key in ((job.stage.validate.patience is not None, "validate.patience"),
                        (job.stage.select == "best_valid", "select: best_valid")):  # fmt: skip
        if asking:
            raise InputError(
                f"there are no validation rows, which {key} needs",
                where=f"stages.{job.name}.validate",
                fix=f"leave {key} out, or use data with a validation split",
            )


def _measured(job: Job) -> bool:
    ranked = job.validation.candidates is not None or job.validation.whole is not None
    return ranked and len(job.validation) > 0


def _out_of_patience(job: Job, progress: checkpoint.Progress) -> bool:
    patience = job.stage.validate.patience
    return patience is not None and progress.waited >= patience


def _agree(requested: bool, accelerator: Accelerator) -> bool:
    """True on all ranks as soon as one was asked to stop."""
    if accelerator.num_processes == 1:
        return requested
    flag = torch.tensor([float(requested)], device=accelerator.device)
    return bool(accelerator.reduce(flag, reduction="sum").item())


def _of_first(figure: float, accelerator: Accelerator) -> float:
    """The first rank's figure on all ranks, so that they keep and stop alike, whatever the last bits of each are."""
    if accelerator.num_processes == 1:
        return figure
    value = torch.tensor(figure, dtype=torch.float64, device=accelerator.device)
    return float(broadcast(value, from_process=0))


def _save(
    job: Job, optimizer: torch.optim.Optimizer, components: list[tuple[str, Any]], progress: checkpoint.Progress
) -> None:
    if job.objective.reference is not None:
        job.objective.reference.flush()
    place = job.checkpoints / f"{job.name}-{progress.step}"
    main = bool(job.accelerator.is_main_process)
    checkpoint.save(place, job.policy, optimizer, components, progress, writes=main)
    if main:
        job.saved()
    job.accelerator.wait_for_everyone()


def _validate(job: Job, monitor: Monitor, progress: checkpoint.Progress, total: int) -> None:
    """Measures on the validation sample, writes a line, and remembers the weights if they are the best so far."""
    seen = look(job.policy, job.validation, 2 * job.stage.tokens_per_pass, job.metric)
    if seen is None:
        return
    metrics = {"HR@1": ("hit_ratio@1", seen.hits)}
    if job.metric is not None and seen.asked is not None:
        metrics[_called(job)] = (figure_of(job.metric), seen.asked)
    lists = seen.lists
    if lists is None and monitor.watching:  # the whole catalogue was ranked
        short = look(job.policy, monitor.rows, 2 * job.stage.tokens_per_pass)
        lists = None if short is None else short.lists
    watched = {} if lists is None else monitor.look(*lists, progress.step / total)
    warning = monitor.collapse(progress.step, seen.hits, watched.get("valid/loss"))
    figures: dict[str, float] = {}
    said = []
    for called, (name, column) in metrics.items():
        value, low, high = interval(column, job.validation.user, resamples=RESAMPLES)
        figures[f"valid/{name}"] = value
        if not math.isnan(low):
            figures |= {f"valid/{name}/low": low, f"valid/{name}/high": high}
        said.append(f"{called} {value:.3f}" + ("" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"))
    figures |= {
        "valid/preference_accuracy": float(seen.accuracy.mean()),
        "valid/logps/chosen": float(seen.chosen.mean()),
    }
    # the last of the metrics is what was asked for
    value = _of_first(figures[f"valid/{name}"], job.accelerator)
    if watched:
        figures |= {**watched, "valid/collapse": float(bool(warning))}
    job.log({"stage": job.name, "step": progress.step, **figures})
    if warning:
        job.console.warn(f"{job.name} step {progress.step:,}: {warning}")
    job.console.say(
        f"{job.name} step {progress.step:,}: validation {', '.join(said)}, "
        f"preference accuracy {figures['valid/preference_accuracy']:.3f} ({len(job.validation):,} rows)"
    )
    if progress.best_value is not None and value <= progress.best_value:
        progress.waited += 1
        return
    progress.best_value, progress.best_step, progress.waited = value, progress.step, 0
    if job.stage.select == "best_valid":
        progress.best = snapshot(job.policy.module)


def _called(job: Job) -> str:
    """What measurements are compared by, for people."""
    return "HR@1" if job.metric is None else figure_of(job.metric)


def _check_start(job: Job, stepper: Stepper, rows: Rows) -> None:
    """Policy and reference are the same weights: scores must agree, and the loss must be what the head declares."""
    reference = job.objective.reference
    if reference is None:
        return
    draw = stepper.draw(rows, 0)
    items = torch.cat([torch.from_numpy(rows.target)[:, None], draw.items.cpu()], dim=1).to(job.accelerator.device)
    ref = reference.score(rows, items)
    now = stepper.peek(rows, items)
    worst, advice = float((now - ref).abs().max()), advice_of(job.policy, "start")
    if not worst <= max(START_TOLERANCE, reference.tolerance):
        raise PoloError(
            f"before the first step the policy and its reference are the same weights, yet differ by {worst:.3g} nats",
            where=f"stages.{job.name}",
            fix=f"{advice}, and report this" if advice else "report this",
        )
    head = job.objective.loss
    if isinstance(head, AtZero):
        judged = stepper.judged_at(rows, draw, now, now)
        expected = head.at_zero(judged.keep, judged.beta)
        off = float((judged.loss - expected).abs().max())
        if not off <= 1e-3:
            raise PoloError(
                f"at policy = reference the loss is off by {off:.3g} from the value that the head declares",
                where=f"stages.{job.name}.loss",
                fix="this is a fault of the loss head (its at_zero or its formula), not of the recipe",
            )
