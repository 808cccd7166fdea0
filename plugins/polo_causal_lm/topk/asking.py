"""The searches of rows on another engine, which is asked what follows a text. Knows token ids; knows no engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polo import FloatArray, IntArray
from polo_causal_lm.topk.find import Asks
from polo_causal_lm.topk.titles import TitleTree

#: (text, what may come next), in token ids
Question = tuple[Sequence[int], Sequence[int]]
#: for each question the log-probability in nats of each token that may come next
Ask = Callable[[Sequence[Question]], Sequence[FloatArray]]


def find_by_asking(ask: Ask, tree: TitleTree, prompts: Sequence[IntArray], searches: Sequence[Asks]) -> None:
    """Brings all searches to their end; what all of them want next is asked at once.

    Args:
        ask: the other engine.
        tree: that of the searches.
        prompts: B arrays of at least one token.
        searches: B fresh searches.
    """
    while wanted := [(i, node) for i, search in enumerate(searches) for node in search.wanted()]:
        questions = list[Question]()
        for i, node in wanted:
            begun, first, after = tree.token[tree.path(node)], tree.child[node], tree.child[node + 1]
            questions.append(([*prompts[i].tolist(), *begun.tolist()], tree.token[first:after].tolist()))
        for (i, node), logps in zip(wanted, ask(questions), strict=True):
            searches[i].tell(node, logps)
