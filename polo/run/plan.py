"""What a run is about to do, in one line a stage, before it does it."""

from __future__ import annotations

import numpy as np

from polo.candidates import ALL
from polo.protocols import Drawing, Policy
from polo.recipe.model import Recipe
from polo.run.prepare import Prepared
from polo.train.schedule import steps_of

#: rows by which the tokens of a row are estimated
SAMPLE = 256


def lines(recipe: Recipe, ready: Prepared, policy: Policy | None) -> list[str]:
    """The plan: data, then each stage with rows, steps and tokens, then memory. ``policy`` None leaves tokens out."""
    splits = ready.splits
    said = "items" if splits.own is None else f"answers to {len(splits.own.prompts):,} prompts"
    head = (
        f"data: {splits.name} ({splits.form}), {len(splits.items):,} {said}; rows: {len(splits.train):,} train, "
        f"{len(splits.valid):,} validation, {len(splits.test):,} test"
    )
    out = [head]
    out += [f"  {count:,} x {what}" for what, count in splits.notes.items() if count]
    for name, stage in recipe.stages.items():
        rows = ready.train[name]
        steps = steps_of(stage, len(rows))
        chosen = [choice.name for choice in (stage.sampler, stage.beta, stage.loss) if choice is not None]
        line = f"{name}: {' x '.join(chosen)}, {len(rows):,} rows, {steps:,} steps of {stage.batch}"
        if stage.start is not None:
            line += f", from {'the base' if stage.start == 'base' else f'the end of {stage.start}'}"
        if policy is not None:
            sampler = ready.objectives[name].sampler
            scored = 1 + (sampler.k if isinstance(sampler, Drawing) else 0)
            cost = policy.cost(rows[: min(SAMPLE, len(rows))], scored)
            line += f", about {_short(float(np.mean(cost)) * steps * stage.batch)} tokens"
        out.append(line)
    if policy is not None:
        bytes_ = sum(p.numel() * p.element_size() for p in policy.module.parameters())
        trained = sum(p.numel() for p in policy.module.parameters() if p.requires_grad)
        out.append(
            f"model: {_short(bytes_)}B of weights, {_short(trained)} trained parameters "
            f"({_short(16 * trained)}B with optimiser and reference)"
        )
    ranked = "the whole catalogue" if recipe.candidates.n == ALL else f"{recipe.candidates.n} candidates"
    ranked = ranked if splits.own is None else f"their own answers, at most {recipe.candidates.n}"
    out.append(f"evaluate: {len(ready.test):,} {recipe.evaluate.split} rows x {ranked}")
    return out


def _short(number: float) -> str:
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:.0f} "
