"""What does not go with data whose answers belong to their rows (see ``polo.texts``), or whose rows show no history.

Knows no component by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from polo.candidates import ALL
from polo.data import Splits
from polo.errors import Problem
from polo.protocols import Applies, Fits, Limited, OfLists, Policy, ReadsOwnTexts, Shortens, Wanting, needs_of
from polo.recipe.model import Recipe


def missing(splits: Splits | None, needs: Collection[str], where: str, what: str, fix: str) -> list[Problem]:
    """What a component needs of the data and does not get; with both sides.

    ``items``: items that any row may have. ``history``: rows that show what came before. ``given_lists``: a list that
    comes with each training row.
    """
    if splits is None:
        return []
    found = []
    if "items" in needs and splits.own is not None:
        found.append(_no_catalogue(splits, where, what, fix))
    if "history" in needs and splits.own is None and not splits.train.window:
        said = f"{what} needs a shown history; the rows of data '{splits.name}' show none (a history of 0 items)"
        found.append(Problem(where, said, f"{fix}, or show items if the data have an order"))
    if "given_lists" in needs and splits.train.candidates is None:
        said = f"{what} needs lists that come with the data; data '{splits.name}' has none"
        found.append(Problem(where, said, "draw negatives, or use data that bring lists or answers of their own"))
    return found


def _no_catalogue(splits: Splits, where: str, what: str, fix: str) -> Problem:
    return Problem(where, f"{what} needs a catalogue; in data '{splits.name}' each answer belongs to its row", fix)


def against(splits: Splits, recipe: Recipe, policy: object, where: Callable[..., str]) -> list[Problem]:
    """What of a recipe's policy does not go with its rows, and of its lists with rows whose texts are their own.

    Args:
        splits: the data.
        recipe: the whole recipe.
        policy: the class of its policy.
        where: the place of a value in the recipe, by the keys that lead to it.
    """
    title = f"policy '{recipe.policy.name}'"
    found = missing(splits, needs_of(policy), where("policy"), title, "choose a policy that reads the user")
    if splits.own is None:
        return found
    lists = recipe.candidates
    if not isinstance(policy, ReadsOwnTexts):
        found.append(_no_catalogue(splits, where("policy"), title, "choose a text policy"))
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


def goes_with(component: object, splits: Splits | None) -> bool:
    """Whether a baseline or audit is for these data, by what it says of itself (``needs`` and ``applies``)."""
    needs = component.needs if isinstance(component, (Wanting, OfLists)) else ()
    if missing(splits, needs, "", "", ""):
        return False
    return splits is None or not isinstance(component, Applies) or component.applies(splits)


def limited(splits: Splits, policy: Policy) -> Mapping[str, Limited]:
    """What becomes of the rows of each split under the policy's token limit; nothing over a catalogue."""
    if splits.own is None:
        return {}
    found = {}
    for name, rows in (("train", splits.train), ("valid", splits.valid), ("test", splits.test)):
        left = int((~policy.fits(rows)).sum()) if isinstance(policy, Fits) and len(rows) else 0
        cut = int(policy.shortened(rows).sum()) if isinstance(policy, Shortens) else 0
        found[name] = Limited(len(rows), left, cut)
    return found
