"""The tree of candidates: which next-token questions give the log-probability of every title, each asked once.

    log p(title | prompt) = sum over its tokens of log p(token | prompt, tokens before)

Titles that begin alike share questions. Knows token ids; knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: most ids that vLLM returns for one question (``MAX_LOGPROB_TOKEN_IDS`` in its sampling_params.py, 0.32.0)
WIDEST = 128


@dataclass(frozen=True)
class Ask:
    """After the prompt and ``prefix``: how likely is each of ``children``?"""

    prefix: tuple[int, ...]
    children: tuple[int, ...]


def asks(titles: Sequence[Sequence[int]], widest: int = WIDEST) -> list[Ask]:
    """The questions about a list of titles; the first has an empty prefix.

    Args:
        titles: token ids, the end token included; titles may repeat, and one may be the beginning of another.
        widest: most children of one question; a node with more is asked about several times.

    Example:
        >>> asks([[5, 6, 2], [5, 2]])
        [Ask(prefix=(), children=(5,)), Ask(prefix=(5,), children=(6, 2)), Ask(prefix=(5, 6), children=(2,))]
    """
    nodes: dict[tuple[int, ...], dict[int, None]] = {}
    for title in titles:
        for depth, token in enumerate(title):
            nodes.setdefault(tuple(title[:depth]), {})[token] = None
    found = []
    for prefix, children in nodes.items():
        ids = tuple(children)
        found += [Ask(prefix, ids[start : start + widest]) for start in range(0, len(ids), widest)]
    return found


def sums(titles: Sequence[Sequence[int]], asked: Sequence[Ask], answers: Sequence[Mapping[int, float]]) -> list[float]:
    """Log-probability of each title in nats, from the answers to :func:`asks`.

    Raises:
        KeyError: if an answer lacks a child that was asked about.

    Example:
        >>> titles = [[5, 6, 2], [5, 2]]
        >>> sums(titles, asks(titles), [{5: -1.0}, {6: -0.5, 2: -2.0}, {2: -0.25}])
        [-1.75, -3.0]
    """
    edges: dict[tuple[int, ...], dict[int, float]] = {}
    for ask, answer in zip(asked, answers, strict=True):
        edges.setdefault(ask.prefix, {}).update({child: answer[child] for child in ask.children})
    return [sum(edges[tuple(title[:depth])][token] for depth, token in enumerate(title)) for title in titles]
