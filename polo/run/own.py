"""What does not go with data whose answers belong to their rows (see ``polo.texts``). Knows no component by name."""

from __future__ import annotations

from collections.abc import Callable, Collection

from polo.candidates import ALL
from polo.data import Splits
from polo.errors import Problem
from polo.protocols import ReadsOwnTexts
from polo.recipe.model import Recipe


def missing(splits: Splits | None, needs: Collection[str], where: str, what: str, fix: str) -> list[Problem]:
    """What a component needs of the data and does not get; with both sides.

    ``items``: items that any row may have. ``given_lists``: a list that comes with each training row.
    """
    if splits is None:
        return []
    found = []
    if "items" in needs and splits.own is not None:
        found.append(_no_catalogue(splits, where, what, fix))
    if "given_lists" in needs and splits.train.candidates is None:
        said = f"{what} needs lists that come with the data; data '{splits.name}' has none"
        found.append(Problem(where, said, "draw negatives, or use data that bring lists or answers of their own"))
    return found


def _no_catalogue(splits: Splits, where: str, what: str, fix: str) -> Problem:
    return Problem(where, f"{what} needs a catalogue; in data '{splits.name}' each answer belongs to its row", fix)


def against(splits: Splits, recipe: Recipe, policy: object, where: Callable[..., str]) -> list[Problem]:
    """What of a recipe's policy and lists does not go with rows whose texts are their own.

    Args:
        splits: the data.
        recipe: the whole recipe.
        policy: the class of its policy.
        where: the place of a value in the recipe, by the keys that lead to it.
    """
    if splits.own is None:
        return []
    found, lists = [], recipe.candidates
    if not isinstance(policy, ReadsOwnTexts):
        found.append(_no_catalogue(splits, where("policy"), f"policy '{recipe.policy.name}'", "choose a text policy"))
    own = f"write `candidates: {{n: {longest_list(splits)}, negatives: file}}`"
    if lists.n == ALL:
        found.append(_no_catalogue(splits, where("candidates", "n"), "candidates.n: all", own))
    elif lists.negatives != "file":
        what = f"candidates.negatives: {lists.negatives}"
        found.append(_no_catalogue(splits, where("candidates", "negatives"), what, own))
    return found


def longest_list(splits: Splits) -> int:
    """Answers of the row that has most, the chosen one included."""
    return 2 if splits.train.candidates is None else splits.train.candidates.shape[1]
