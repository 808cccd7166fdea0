"""Questions answered by a trained run, as ``polo recommend`` answers them. Knows recommenders; knows no web."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polo.errors import InputError
from polo.run.recommending import Asked, Ranking, Recommender
from polo.serve.questions import Limits, Question, Refused


def meant(recommender: Recommender, asked: Question, limits: Limits) -> Asked:
    """The items that a question speaks of.

    Raises:
        Refused: a title is none of the catalogue.
    """
    try:
        return recommender.ask(asked.history, asked.candidates, ("history", "candidates"), limits.guesses)
    except InputError as error:
        raise Refused(422, error.what, where=error.where, fix=error.fix) from None


def answers(recommender: Recommender, asked: Sequence[tuple[Asked, int]]) -> list[Ranking | Exception]:
    """A ranking for each of (what is meant, places), or what went wrong with it; those for as many places at once."""
    found: dict[int, Ranking | Exception] = {}
    for top in dict.fromkeys(top for _, top in asked):
        places = [place for place, (one, wanted) in enumerate(asked) if wanted == top]
        searched = [place for place in places if recommender.searches(asked[place][0])]
        alone = [[place] for place in places if place not in searched]
        for group in [searched, *alone] if searched else alone:
            found.update(zip(group, _group(recommender, [asked[place][0] for place in group], top), strict=True))
    return [found[place] for place in range(len(asked))]


def _group(recommender: Recommender, asked: Sequence[Asked], top: int) -> Sequence[Ranking | Exception]:
    try:
        return recommender.rank_together(asked, top)
    except InputError as error:
        if len(asked) == 1:
            return [Refused(422, error.what, where=error.where, fix=error.fix)]
    except Exception as error:  # what one question causes must not be told to those beside it
        if len(asked) == 1:
            return [error]
    return [answer for one in asked for answer in _group(recommender, [one], top)]


def plain(ranking: Ranking, asked: Asked) -> dict[str, Any]:
    """As ``polo recommend --json`` has it, and which titles were taken for what was written."""
    took = [{"written": text, "title": title} for text, title in asked.guessed]
    return {"history": ranking.history, "among": ranking.among, "ranked": ranking.ranked, "took": took}
