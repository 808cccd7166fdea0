"""Whether what is measured was seen in training: prompts of both splits, and passages of them. Knows words alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from polo import PAD, Audited, Finding, Rows, Splits, plain
from polo_audits.answers import OwnAnswers
from polo_audits.figures import percent, sample

#: words of a passage; GPT-3 looked for overlaps of 13 words (arXiv 2005.14165, appendix C)
_WORDS: Final = 13
#: training rows from which on a passage is a set phrase, such as an instruction that stands in every prompt
_PHRASE: Final = 10
#: words of training text up to which passages at every place are looked up; else every 13th, which surely finds what
#: two texts share if it has 25 words or more
_ALL: Final = 3_000_000
#: share of rows from which on the verdict is fail
_MANY: Final = 0.05


class Prompts(OwnAnswers):
    """Share of the evaluated rows whose prompt, but for case and spaces, is one of the training split."""

    def check(self, audited: Audited) -> Finding:
        splits = audited.splits
        assert splits.own is not None
        said = [_normal(plain(prompt)) for prompt in splits.own.prompts]
        trained = {said[p] for p in np.unique(splits.train.user).tolist()}
        measured = getattr(splits, audited.split)
        share = float(np.mean([said[p] in trained for p in measured.user.tolist()])) if len(measured) else 0.0
        meaning = f"{percent(share)} of the {audited.split} rows have a prompt of the training split."
        if not share:
            return Finding(share, "ok", meaning)
        fix = "take these rows out of one split, or let the splits be drawn by prompt (leave data.test out)"
        return Finding(share, "fail" if share > _MANY else "warn", meaning, fix)


class Contamination(OwnAnswers):
    """Share of the evaluated rows (at most 2,000) with a passage of 13 words that stands in the training split.

    Prompts and answers of both are looked at. A passage of more than ten training rows is a set phrase and not counted;
    nor are rows with fewer words.
    """

    def check(self, audited: Audited) -> Finding:
        splits = audited.splits
        measured = sample(getattr(splits, audited.split))
        mine = [set(_cut(text.split(), 1)) for text in _texts(splits, measured)]
        wanted: set[int] = set().union(*mine)
        words = [text.split() for text in _texts(splits, splits.train)]
        step = 1 if sum(map(len, words)) <= _ALL else _WORDS
        found = Counter(passage for text in words for passage in wanted.intersection(_cut(text, step)))
        seen = {passage for passage, rows in found.items() if rows <= _PHRASE}
        share = sum(not seen.isdisjoint(passages) for passages in mine) / max(1, len(mine))
        meaning = (
            f"{percent(share)} of the {audited.split} rows share a passage of {_WORDS} words with a few training rows"
            + (" (every 13th looked up)." if step > 1 else ".")
        )
        if share <= 0.01:
            return Finding(share, "ok", meaning)
        fix = "look at such rows; take them out of the training split, or tell the number without them"
        return Finding(share, "fail" if share > 0.5 else "warn", meaning, fix)


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(splits: Splits, rows: Rows) -> Iterator[str]:
    """Prompt and answers of each row, as one text."""
    assert splits.own is not None
    lists = rows.target[:, None] if rows.candidates is None else rows.candidates
    for prompt, answers in zip(rows.user.tolist(), lists.tolist(), strict=True):
        said = [plain(splits.own.prompts[prompt]), *(splits.items.titles[i] for i in answers if i != PAD)]
        yield _normal("\n".join(said))


def _cut(words: Sequence[str], step: int) -> Iterator[int]:
    """Hashes of the passages that begin at every ``step``-th word."""
    return (hash(tuple(words[at : at + _WORDS])) for at in range(0, len(words) - _WORDS + 1, step))
