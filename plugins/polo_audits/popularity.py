"""How far one gets on these lists without a model: the most popular candidate, and counting what follows what."""

from __future__ import annotations

from typing import Final

from polo import Audited, Choice, Context, Finding
from polo_audits.figures import evaluated, hits, percent, sample

#: HR@1 on lists of 20 from which on counting reaches what 7B models report: on LastFM they report 0.58 to 0.69
#: (arXiv 2406.09215, 2605.00327)
_COUNTING: Final = 0.58


class Popularity:
    """HR@1 of the baselines ``popularity`` and ``markov`` on the recipe's lists; warns at most."""

    needs = frozenset({"items", "lists"})

    def __init__(self, options: None, context: Context) -> None:
        self._build = context.build

    def check(self, audited: Audited) -> Finding:
        rows = sample(evaluated(audited))
        assert rows.candidates is not None
        found = {}
        ordered = rows.history.shape[1] > 0  # counting what follows what needs rows that show what came before
        for name in ("popularity", "markov") if ordered else ("popularity",):
            baseline = self._build(Choice("baseline", name))
            baseline.fit(audited.splits)
            found[name] = float(hits(rows, baseline.score(rows, rows.candidates)).mean())
        best = max(found.values())
        counting = f" and counting what follows what (markov) finds it in {percent(found['markov'])}" if ordered else ""
        meaning = (
            f"Without a model, the most popular candidate is the target in {percent(found['popularity'])} of the rows"
            f"{counting}; guessing {percent(1 / rows.candidates.shape[1])}"
        )
        if best < _COUNTING:
            return Finding(best, "ok", f"{meaning}.")
        return Finding(
            best,
            "warn",
            f"{meaning}: that is what 7B models report on such lists (0.58 to 0.69 on LastFM).",
            "report these baselines beside the model; the gain over them is what the model adds",
        )
