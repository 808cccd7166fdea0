"""What may be asked of the service: a body of bytes -> a question, or a refusal with an HTTP status. Knows no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

#: the parts of a question
_KEYS = ("history", "top", "candidates")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused.

    Args:
        body: bytes of a request.
        history: titles of a history.
        candidates: titles to choose from.
        title: characters of a title.
        top: places.
        guesses: titles of a request that are not written as the catalogue has them.
        seconds: that a request may take, from its first byte to its answer.
        waiting: questions that wait for their turn.
        together: questions that are answered at once.
    """

    body: Annotated[int, Ge(1)] = 1 << 16
    history: Annotated[int, Ge(1)] = 200
    candidates: Annotated[int, Ge(1)] = 1000
    title: Annotated[int, Ge(1)] = 500
    top: Annotated[int, Ge(1)] = 100
    guesses: Annotated[int, Ge(0)] = 3
    seconds: Annotated[float, Ge(0.001)] = 30.0
    waiting: Annotated[int, Ge(1)] = 256
    together: Annotated[int, Ge(1)] = 16


class Refused(Exception):  # noqa: N818 - what happened to a request, not a fault
    """A request that is not answered.

    Args:
        status: of HTTP.
        what, where, fix: as of a :class:`~polo.errors.PoloError`.
    """

    def __init__(self, status: int, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.status, self.what, self.where, self.fix = status, what, where, fix

    def plain(self) -> dict[str, Any]:
        """As the body of an answer."""
        told = {"what": self.what, "where": self.where, "fix": self.fix}
        return {"error": {key: value for key, value in told.items() if value}}


@dataclass(frozen=True)
class Question:
    """What is asked.

    Args:
        history: titles, oldest first.
        top: places.
        candidates: titles to choose from; the whole catalogue if not given.
    """

    history: tuple[str, ...]
    top: int
    candidates: tuple[str, ...] | None


def question(body: bytes, limits: Limits) -> Question:
    """What a body asks.

    Raises:
        Refused: it is no such question (400), or more than the limits allow (422).

    Example:
        >>> question(b'{"history": ["Abba", "Queen"], "top": 3}', Limits())
        Question(history=('Abba', 'Queen'), top=3, candidates=None)
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON", fix='send {"history": ["TITLE", ...], "top": 10}') from None
    if not isinstance(given, Mapping):
        raise Refused(400, "the body is no JSON object", fix='send {"history": ["TITLE", ...], "top": 10}')
    if odd := sorted(set(given) - set(_KEYS)):
        raise Refused(400, f"unknown key {odd[0]!r}", fix=f"a question has {', '.join(_KEYS)}")
    top = given.get("top", min(10, limits.top))
    if type(top) is not int or top < 1:
        raise Refused(400, "is no whole number from 1", where="top")
    if top > limits.top:
        raise Refused(422, f"{top} places are more than {limits.top}", where="top", fix="ask for fewer")
    history = _titles(given.get("history"), "history", limits.history, limits)
    listed = given.get("candidates")
    return Question(history, top, None if listed is None else _titles(listed, "candidates", limits.candidates, limits))


def _titles(given: Any, where: str, most: int, limits: Limits) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one.strip() for one in given):
        raise Refused(400, "is no list of titles", where=where, fix='write ["TITLE", ...], with one title or more')
    if len(given) > most:
        raise Refused(422, f"{len(given)} titles are more than {most}", where=where, fix="send fewer")
    if any(len(one) > limits.title for one in given):
        raise Refused(422, f"a title has more than {limits.title} characters", where=where, fix="send titles")
    return tuple(given)
