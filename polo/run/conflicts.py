"""What components of a stage and evaluators say that they need, and what stands against it; knows none by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from polo.candidates import ALL
from polo.context import Choice
from polo.data import Splits
from polo.errors import Problem
from polo.protocols import (
    Asks,
    DeclaresUnit,
    DrawsItems,
    Embeds,
    Evaluator,
    FindsPlaces,
    LooksNoFurther,
    PlacesItems,
    RanksAll,
    Rescores,
    TopItems,
    Writes,
    gives_of,
    needs_of,
)
from polo.recipe.model import Recipe, Stage
from polo.run import own
from polo.train.objective import Objective
from polo.words import listing

#: what an evaluator may need that only lists of candidates have, all rows of them at once
_OF_LISTS = frozenset({"reference", "generation", "tokens", "all_rows"})
#: what is read out of scores that are the policy's own: its log-ratio to a reference, its log-probability of a token
_OF_THE_POLICY = frozenset({"reference", "tokens"})


def conflicts(
    name: str,
    stage: Stage,
    objective: Objective,
    average: object,
    *,
    recipe: Recipe,
    policy: object,
    splits: Splits | None,
    where: Callable[..., str],
    drawing: Sequence[str],
    saying: Sequence[str],
    policies: Callable[[type[Any]], str],
) -> list[Problem]:
    """Every combination of a stage that ``needs`` forbids, naming both sides.

    Args:
        name: of the stage.
        stage: what the recipe says of it.
        objective: its components, built.
        average: its mean of weights, built, if it has one.
        recipe: the whole recipe.
        policy: the class of its policy.
        splits: the data, where they are loaded.
        where: the place of a value in the recipe, by the keys that lead to it.
        drawing: samplers that need no options, to be named.
        saying: samplers that say how likely a draw was.
        policies: says in words which policies keep a contract.
    """
    named_policy = f"policy '{recipe.policy.name}'"
    unit = policy.unit if isinstance(policy, DeclaresUnit) else None
    chosen: dict[str, tuple[Choice | None, object]] = {
        "loss": (stage.loss, objective.loss),
        "sampler": (stage.sampler, objective.sampler),
        "beta": (stage.beta, objective.beta),
        "average": (stage.average, average),
    }
    named = {kind: f"{kind} '{choice.name}'" for kind, (choice, _) in chosen.items() if choice is not None}
    sampler, found = named.get("sampler"), list[Problem]()
    for kind, title in named.items():
        needs, place = needs_of(chosen[kind][1]), where("stages", name, kind)
        if "negatives" in needs and sampler is None:
            found.append(Problem(place, f"{title} needs negatives; stage '{name}' has no sampler",
                                 f"add `sampler:` and one of: {listing(drawing)}"))  # fmt: skip
        if "log_q" in needs and sampler is not None and "log_q" not in gives_of(objective.sampler):
            found.append(Problem(place, f"{title} corrects for how negatives were drawn; {sampler} does not say",
                                 f"draw with one of: {listing(saying)}"))  # fmt: skip
        if "reference" in needs and recipe.reference == "none":
            found.append(Problem(place, f"{title} needs a reference; the recipe says `reference: none`",
                                 "name a stage, or `base`"))  # fmt: skip
        if "logprob" in needs and unit == "similarity":
            found.append(Problem(place, f"{title} needs log-probabilities; {named_policy} gives similarities",
                                 "choose another loss or a text policy"))  # fmt: skip
        if "end" in needs and stage.validate.patience is not None:
            found.append(Problem(place, f"{title} needs to know when the stage ends; its validate.patience may end "
                                 "it earlier", "leave patience out, or choose another average"))  # fmt: skip
        if "catalogue" in needs and not isinstance(policy, Embeds):
            found.append(Problem(place, f"{title} needs what all items score together, with its gradient; "
                                 f"{named_policy} has no vectors to make it of",
                                 f"choose a loss of drawn negatives, or {policies(Embeds)}"))  # fmt: skip
        if "draw_items" in needs and not isinstance(policy, DrawsItems):
            found.append(Problem(place, f"{title} needs a policy that draws items itself; {named_policy} does not",
                                 f"choose another sampler, or {policies(DrawsItems)}"))  # fmt: skip
        if "top_items" in needs and not isinstance(policy, TopItems):
            found.append(Problem(place, f"{title} needs the best items of the catalogue; {named_policy} finds none",
                                 f"choose another sampler, or {policies(TopItems)}"))  # fmt: skip
        found += own.missing(splits, needs, place, title, f"choose another {kind}")
    return found


def of_evaluator(
    name: str, evaluator: Evaluator, where: str, recipe: Recipe, policy: object, splits: Splits | None
) -> list[Problem]:
    """What an evaluator needs and does not get: generated text, lists of candidates, or a catalogue.

    Args:
        name: of the evaluator.
        evaluator: built.
        where: its place in the recipe.
        recipe: the whole recipe.
        policy: the class of its policy.
        splits: the data, where they are loaded.
    """
    what = f"evaluator '{name}'"
    if "generation" in evaluator.needs and not isinstance(policy, Writes):
        said = f"{what} needs generated text; policy '{recipe.policy.name}' makes none"
        return [Problem(where, said, "leave it out, or choose a text policy")]
    if recipe.candidates.n == ALL and (needs := evaluator.needs & _OF_LISTS):
        said = (
            f"{what} needs {listing(sorted(needs))} of lists of candidates; candidates.n: all ranks the whole "
            "catalogue, block by block, and has none"
        )
        return [Problem(where, said, "leave it out, or give candidates.n a number")]
    return own.missing(splits, evaluator.needs, where, what, "leave it out")


def of_scorer(
    name: str, scorer: object, policy: object, where: str, recipe: Recipe, policies: Callable[[type[Any]], str]
) -> list[Problem]:
    """Why a scorer does not go with the policy, or cannot rank a whole catalogue if that is asked for.

    Args:
        name: of the scorer.
        scorer, policy: the classes.
        where: the scorer's place in the recipe.
        recipe: the whole recipe.
        policies: says in words which policies keep a contract.
    """
    if isinstance(scorer, Asks) and (lacking := scorer.asks - needs_of(policy)):
        said = f"scorer '{name}' is for policies that read {listing(sorted(lacking))}"
        return [Problem(where, f"{said}; policy '{recipe.policy.name}' does not", "leave evaluate.scorer out")]
    if recipe.candidates.n != ALL:
        return []
    if not isinstance(scorer, RanksAll):
        said = (
            f"scorer '{name}' scores lists of candidates; candidates.n: all ranks the whole catalogue, block by block"
        )
        return [Problem(where, said, "leave evaluate.scorer out, or give candidates.n a number")]
    if isinstance(scorer, FindsPlaces) and not isinstance(policy, PlacesItems):
        said = f"scorer '{name}' lets the policy find where items stand; policy '{recipe.policy.name}' finds nothing"
        return [Problem(where, said, f"leave evaluate.scorer out, or choose {policies(PlacesItems)}")]
    return []


def of_measuring(
    name: str, evaluator: Evaluator, where: str, scorer: str, made: object, recipe: Recipe
) -> list[Problem]:
    """What an evaluator looks at that the scorer's scores do not say, or that it does not find in a whole catalogue.

    Args:
        name: of the evaluator.
        evaluator: built.
        where: its place in the recipe.
        scorer: name of the scorer.
        made: the scorer, built.
        recipe: the whole recipe.
    """
    what, by = f"evaluator '{name}'", f"scorer '{scorer}'"
    if isinstance(made, Rescores) and made.rescores and (read := evaluator.needs & _OF_THE_POLICY):
        said = f"{what} reads {listing(sorted(read))} out of the policy's own scores; {by} gives others"
        return [Problem(where, said, "leave it out, or leave evaluate.scorer out")]
    if recipe.candidates.n != ALL or not isinstance(made, FindsPlaces):
        return []
    if "scores" in evaluator.needs:
        said = f"{what} needs the scores of all items; {by} finds the best of them and some places"
        return [Problem(where, said, "leave it out, or leave evaluate.scorer out")]
    if made.deepest is None or (isinstance(evaluator, LooksNoFurther) and evaluator.deepest <= made.deepest):
        return []
    looks = f"at the first {evaluator.deepest}" if isinstance(evaluator, LooksNoFurther) else "at every rank"
    said = f"{what} looks {looks}; {by} tells the first {made.deepest} apart and none behind them"
    return [Problem(where, said, "let the scorer find more, or leave the evaluator out")]
