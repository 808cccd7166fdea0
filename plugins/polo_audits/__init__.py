"""Audits: is the data in order, are the candidate lists fair, and how far does counting alone get?

Declarations only; what they name is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_audits() -> Sequence[Component]:
    """The audits of this package."""
    return [
        Component(
            name="order",
            build="polo_audits.order:Order",
            summary="does one global order of the items explain all sequences (so that there is no time in them)?",
        ),
        Component(
            name="ties", build="polo_audits.order:Ties", summary="share of neighbouring events with one timestamp"
        ),
        Component(
            name="overlap",
            build="polo_audits.overlap:Overlap",
            summary="do other rows' candidate lists give the target away? the recipe's lists",
        ),
        Component(
            name="overlap_file",
            build="polo_audits.overlap:OverlapFile",
            summary="do other rows' candidate lists give the target away? the lists in the file",
        ),
        Component(
            name="leakage",
            build="polo_audits.leakage:Leakage",
            summary="held-out answers in the training split, targets inside the history, duplicate rows",
        ),
        Component(
            name="false_negatives",
            build="polo_audits.lists:FalseNegatives",
            summary="share of rows with a negative that the same user consumed",
        ),
        Component(
            name="candidates",
            build="polo_audits.lists:Candidates",
            summary="the target once, no item twice, the declared length, the target at any place",
        ),
        Component(
            name="text",
            build="polo_audits.text:Text",
            summary="titles that hold other titles, encoding faults, one text for two items, empty titles",
        ),
        Component(
            name="popularity",
            build="polo_audits.popularity:Popularity",
            summary="what the most popular candidate and counting (markov) reach without any model",
        ),
        Component(
            name="duplicate_prompts",
            build="polo_audits.prompts:Prompts",
            summary="prompts with answers of their own: which of the evaluated ones stand in the training split?",
        ),
        Component(
            name="contamination",
            build="polo_audits.prompts:Contamination",
            summary="answers of their own: evaluated rows that share a passage of 13 words with a few training rows",
            source="passages of 13 words: GPT-3, arXiv 2005.14165, appendix C",
        ),
        Component(
            name="longer_chosen",
            build="polo_audits.answers:Lengths",
            summary="answers of their own: is the chosen one longer, and how far does length alone predict?",
        ),
        Component(
            name="truncation",
            build="polo_audits.answers:Truncation",
            summary="answers of their own: rows that are left out or cut for their length, answers without an end",
        ),
    ]
