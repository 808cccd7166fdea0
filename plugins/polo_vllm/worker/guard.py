"""When log-probabilities of a prompt can be believed although its beginning came from the prefix cache.

vLLM keeps keys and values of a cached block, not its logits. The log-probability of token p comes from the logits at
p - 1, so of a prompt of P tokens with a title behind it everything up to P - 1 must have been computed in this very
request. If more than P - 1 tokens came from the cache (which happens where a block ends at the end of the prompt, or
where another title with the same beginning filled a block), the first entries are leftovers of other requests:
plausible, and wrong. vLLM issue 42019; measured on 0.32.0. Knows numbers; knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class UnreadableError(Exception):
    """An entry is not about the token that stands there."""


def believable(cached: int | None, prompt: int) -> bool:
    """Whether ``cached`` tokens from the cache leave all log-probabilities behind a prompt of ``prompt`` tokens whole.

    Example:
        >>> believable(191, 192), believable(192, 192), believable(None, 192)
        (True, False, False)
    """
    return cached is not None and cached <= prompt - 1


def title_sum(entries: Sequence[Mapping[int, float] | None] | None, title: Sequence[int]) -> float:
    """Sum over the last ``len(title)`` entries, each of which must hold the title's token and be finite.

    Args:
        entries: for each token of prompt and title what was returned for it; counted from the end, as the beginning
            may be missing.
        title: token ids.

    Raises:
        UnreadableError: if an entry is missing or is about other tokens.

    Example:
        >>> title_sum([None, {9: -3.0}, {5: -1.0}, {2: -0.5}], [5, 2])
        -1.5
    """
    if entries is None or len(entries) < len(title):
        raise UnreadableError(f"{len(entries or ())} entries for a title of {len(title)} tokens")
    total = 0.0
    for token, entry in zip(title, entries[len(entries) - len(title) :], strict=True):
        if entry is None or token not in entry:
            raise UnreadableError(f"no log-probability of token {token}, only of {sorted(entry or ())}")
        if not -1e30 < entry[token] <= 1e-6:
            raise UnreadableError(f"token {token} has the log-probability {entry[token]}")
        total += entry[token]
    return total
