"""What follows a text: questions of a search that is made elsewhere, answered by one engine.

A search asks a few questions, looks at the answers, and asks the next ones; all texts begin with the same prompt, which
the engine has in its prefix cache from the second question on. Knows token ids and the engine; knows no search.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .engine import Engine
from .trie import WIDEST

#: (text, what may come next), in token ids
Question = tuple[Sequence[int], Sequence[int]]


def answers(engine: Engine, questions: Sequence[Question], widest: int = WIDEST) -> list[list[float]]:
    """Log-probabilities in nats of the tokens that each question names, in its order.

    Args:
        engine: with the adapters that it shall apply.
        questions: texts, each of at least one token; and tokens that may come next.
        widest: most tokens of one request; a question with more takes several.
    """
    parts = [
        (number, text, after[start : start + widest])
        for number, (text, after) in enumerate(questions)
        for start in range(0, len(after), widest)
    ]
    found = engine.next_logprobs([text for _, text, _ in parts], [after for _, _, after in parts])
    out: list[list[float]] = [[] for _ in questions]
    for (number, _, after), logprobs in zip(parts, found, strict=True):
        out[number] += [logprobs[token] for token in after]
    return out


def serve(
    settings: Mapping[str, Any],
    lines: Iterable[str],
    tell: Callable[[dict[str, Any]], None],
    start: Callable[[Mapping[str, Any]], Engine] = Engine,
) -> None:
    """Answers lines until there are no more: each a JSON list of questions; ``{"answers": [[...], ...]}`` for each.

    Args:
        settings: ``engine`` and ``adapter``, as ``job.json`` has them.
        lines: questions.
        tell: receives ``{"ready": version}`` when the engine has started, and the answers.
        start: makes the engine.
    """
    engine = start(settings["engine"])
    engine.use_adapter(settings["adapter"])
    tell({"ready": engine.version})
    for line in lines:
        tell({"answers": answers(engine, json.loads(line))})
