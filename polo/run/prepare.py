"""Everything that is known before the first step: rows with their lists, objectives, and what fits the policy.

Knows which rows a recipe asks for; knows no loop. Nothing here writes to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from polo.candidates import ALL, attach, attach_all
from polo.data import Rows, Splits
from polo.errors import InputError
from polo.protocols import Evaluator, Fits, Policy, Scorer, advice_of
from polo.randomness import seed_of
from polo.recipe.model import Recipe, Stage
from polo.run.compose import Composer
from polo.train.objective import Objective
from polo.train.validation import figure_of
from polo.words import listing

#: what an evaluator may need of a look at validation rows
_LOOKED_AT = frozenset({"ranks", "scores"})


@dataclass(frozen=True)
class Prepared:
    """What a dry run shows: data, objectives and rows by stage; and what will measure."""

    composer: Composer
    splits: Splits
    objectives: Mapping[str, Objective]
    evaluators: Sequence[Evaluator]
    metrics: Mapping[str, Evaluator | None]
    scorer: Scorer
    train: Mapping[str, Rows]
    validation: Mapping[str, Rows]
    test: Rows


def prepare(recipe: Recipe, composer: Composer, splits: Splits) -> Prepared:
    """Components and rows; raises everything that can be known without the model."""
    objectives, evaluators, scorer = composer.objectives(), composer.evaluators(), composer.scorer()
    composer.measurable(evaluators, scorer)
    composer.baselines()  # one that cannot serve is refused before anything is trained
    metrics = {name: metric_of(composer, name, stage) for name, stage in recipe.stages.items()}
    # what is measured on belongs to the protocol and stays the same when the recipe's seed changes
    measured = recipe.candidates.seed
    train, validation = {}, {}
    for name, stage in recipe.stages.items():
        train[name] = subsample(latest(splits.train, stage.latest), stage.rows, recipe.seed)
        sample = subsample(splits.valid, stage.validate.rows, measured)
        validation[name] = ranked_on(recipe, splits, sample, "valid")
    chosen = splits.test if recipe.evaluate.split == "test" else splits.valid
    test = ranked_on(recipe, splits, subsample(chosen, recipe.evaluate.rows, measured), recipe.evaluate.split)
    return Prepared(composer, splits, objectives, evaluators, metrics, scorer, train, validation, test)


def for_policy(ready: Prepared, recipe: Recipe, policy: Policy, say: Callable[[str], None]) -> Prepared:
    """The rows that fit the policy; training rows get their lists if the prompt shows them."""

    def training(rows: Rows) -> Rows:
        if policy.pool == "candidates":
            return shown(recipe, ready.splits, rows)
        return rows.with_candidates(None)

    return replace(
        ready,
        train={name: fitting(policy, training(rows), "training", say) for name, rows in ready.train.items()},
        validation={name: fitting(policy, rows, "validation", say) for name, rows in ready.validation.items()},
        test=fitting(policy, ready.test, recipe.evaluate.split, say),
    )


def metric_of(composer: Composer, name: str, stage: Stage) -> Evaluator | None:
    """What the measurements of a stage are compared by; ``None`` where nothing is asked for.

    Raises:
        InputError: it needs what a look at validation rows does not give, or has not one figure of each row.
    """
    if stage.validate.metric is None:
        return None
    metric: Evaluator = composer.build(stage.validate.metric)
    where = composer.where("stages", name, "validate", "metric")
    if unmet := sorted(metric.needs - _LOOKED_AT):
        raise InputError(
            f"evaluator '{stage.validate.metric.name}' needs {listing(unmet)}, which no measurement has",
            where=where,
            fix="choose a metric of ranks",
        )
    try:
        figure_of(metric)
    except InputError as error:
        raise InputError(error.what, where=where, fix=error.fix) from None
    return metric


def ranked_on(recipe: Recipe, splits: Splits, rows: Rows, split: Literal["valid", "test"]) -> Rows:
    """Held-out rows with what the recipe asks to be ranked: lists of candidates, or the whole catalogue."""
    c = recipe.candidates
    if c.n == ALL:
        return attach_all(splits, rows, split=split, mask=c.mask)
    return attach(splits, rows, n=c.n, negatives=c.negatives, seed=c.seed, known=splits.known_all)


def shown(recipe: Recipe, splits: Splits, rows: Rows) -> Rows:
    """Training rows with the lists that a prompt shows.

    Raises:
        InputError: the whole catalogue is ranked.
    """
    c = recipe.candidates
    if c.n == ALL:
        raise InputError(
            f"policy '{recipe.policy.name}' ranks a list that its prompt shows; candidates.n: all ranks the whole "
            "catalogue",
            where="candidates.n",
            fix="give the length of the lists, or hide them from the prompt",
        )
    return attach(splits, rows, n=c.n, negatives=c.negatives, seed=c.seed, known=splits.known_train)


def fitting(policy: Policy, rows: Rows, what: str, say: Callable[[str], None]) -> Rows:
    """Rows whose prompt and titles fit the policy; the others are counted and named, never cut.

    Raises:
        InputError: none fits.
    """
    if not isinstance(policy, Fits) or not len(rows):
        return rows
    good = policy.fits(rows)
    if not good.any():
        raise InputError(
            f"none of the {len(rows):,} {what} rows fits the policy's token limit",
            where="policy",
            fix=advice_of(policy, "fit") or "give shorter rows",
        )
    if not good.all():
        bad = rows.id[~good]
        say(
            f"{len(bad):,} of {len(rows):,} {what} rows do not fit the policy's token limit and are left out "
            f"(rows {', '.join(str(i) for i in bad[:5])}{', ...' if len(bad) > 5 else ''})"
        )
    return rows[np.flatnonzero(good)]


def subsample(rows: Rows, n: int | None, seed: int) -> Rows:
    """``n`` rows drawn by the seed, in their order; all if ``n`` is None or there are no more."""
    if n is None or n >= len(rows):
        return rows
    chosen = np.random.default_rng(seed_of(seed, "rows")).choice(len(rows), size=n, replace=False)
    return rows[np.sort(chosen)]


def latest(rows: Rows, n: float | None) -> Rows:
    """The last ``n`` rows of each user, or this share of them, in their order; all if ``n`` is None.

    Sources give a user's rows in time order. A share, below 1, is rounded down for each user.

    Example:
        >>> import numpy as np
        >>> user = np.array([7, 8, 7, 7])
        >>> rows = Rows(id=np.arange(4), user=user, history=np.zeros((4, 1), np.int64), target=np.arange(4))
        >>> latest(rows, 2).id.tolist(), latest(rows, 0.7).id.tolist()
        ([1, 2, 3], [2, 3])
    """
    if n is None:
        return rows
    order = np.argsort(rows.user, kind="stable")
    _, counts = np.unique(rows.user, return_counts=True)
    ends = np.repeat(np.cumsum(counts), counts)
    most = n if n >= 1 else np.floor(n * np.repeat(counts, counts))
    return rows[np.sort(order[ends - np.arange(len(rows)) <= most])]
