"""Faults of titles that a text policy, or a protocol that matches generated titles, stumbles over. No tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from polo import Audited, Context, Finding
from polo_audits.figures import evaluated, percent, sample

#: share of lists with one title inside another from which on matching generated titles is not to be trusted
_CONTAINED: Final = 0.05
#: share of broken titles from which on the verdict is fail
_BROKEN: Final = 0.01
#: UTF-8 read as Latin-1 or Windows-1252: a lead byte's character and a continuation byte's, such as "Ã©" and "â€™"
_MOJIBAKE: Final = re.compile("[\u00c3\u00c2][\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u00bf\u2018-\u2122]|\u00e2\u0080")
#: the replacement character, and control characters
_LOST: Final = re.compile("[\ufffd\x00-\x08\x0b-\x1f\x7f]")


class Text:
    """Titles that are empty, broken, shared by two items, or held by another title of the same list."""

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        titles = audited.splits.items.titles
        normalised = [" ".join(title.casefold().split()) for title in titles]
        empty = sum(not title for title in normalised)
        broken = [title for title in titles if _LOST.search(title) or _MOJIBAKE.search(title)]
        double = len(normalised) - len(set(normalised))
        contained = share_of_lists_with_contained_titles(audited, normalised)
        nothing = 0 if audited.title_tokens is None else int((audited.title_tokens <= 1).sum())
        sentences = [
            f"{percent(contained)} of the lists hold a title that contains another one's",
            f"{double:,} items have the text of another item",
            f"{len(broken):,} titles have encoding faults" + (f" (such as {broken[0]!r})" if broken else ""),
            f"{empty:,} titles are empty",
        ]
        if audited.title_tokens is not None:
            low, middle, high = np.percentile(audited.title_tokens, [0, 50, 100])
            sentences.append(
                f"{nothing:,} titles have no token of their own; titles with end token are {low:.0f} to {high:.0f} "
                f"tokens (median {middle:.0f})"
            )
        meaning = "; ".join(sentences)
        meaning = meaning[0].upper() + meaning[1:] + "."
        bad = (empty + nothing + len(broken)) / max(1, len(titles))
        if empty or nothing or bad >= _BROKEN:
            return Finding(bad, "fail", meaning, "mend or drop these titles; read the file in its own encoding")
        if broken or double or contained > _CONTAINED:
            fix = (
                "look at these titles"
                if broken
                else "rank by scores, as the recipe does: matching generated titles cannot tell such items apart"
            )
            return Finding(max(contained, bad, double / len(titles)), "warn", meaning, fix)
        return Finding(contained, "ok", meaning)


def share_of_lists_with_contained_titles(audited: Audited, normalised: Sequence[str]) -> float:
    """Share of evaluated lists in which one candidate's title (not the same text) stands inside another's, as words."""
    if not audited.lists:
        return 0.0
    rows = sample(evaluated(audited))
    if rows.candidates is None or not len(rows):
        return 0.0
    padded = [f" {title} " for title in normalised]
    held = 0
    for listed in rows.candidates.tolist():
        words = [padded[i] for i in dict.fromkeys(listed)]
        held += any(a in b for a in words for b in words if len(a) < len(b) and a.strip())
    return held / len(rows)
