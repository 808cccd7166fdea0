"""Audits of a recipe's data and protocol: what they look at, running them, and their short form.

Knows rows and findings. Which audits there are is the plugins' business; none of them can stop a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from polo.candidates import ALL, attach
from polo.data import Ragged, Rows, Sequences, Splits
from polo.errors import PoloError
from polo.lazy import LazyRows
from polo.protocols import Audit, Audited, Finding, Limited, OfLists
from polo.randomness import RowRandom
from polo.recipe.model import Candidates
from polo.store.files import write_json
from polo.store.shapes import Audits, read

#: rows of the training split that get lists; more are a sample
TRAIN_ROWS: Final = 200_000
FILE: Final = "audits.json"


@dataclass(frozen=True)
class Check:
    """A finding under the name of its audit."""

    name: str
    finding: Finding

    def plain(self) -> dict[str, Any]:
        """As in ``audits.json`` and ``polo audit --json``: name, figure, verdict, meaning, fix."""
        return {"name": self.name, **asdict(self.finding)}


def audited(
    splits: Splits,
    candidates: Candidates,
    *,
    split: Literal["valid", "test"] = "test",
    title_tokens: Any = None,
    limited: Mapping[str, Limited] | None = None,
) -> Audited:
    """The data with a candidate list for every row, under the recipe's protocol and as the file has them.

    Args:
        splits: the data set.
        candidates: the recipe's ``candidates``.
        split: the split that is evaluated.
        title_tokens: int64 ``[n_items]``, tokens of each title, where a text policy is at hand.
        limited: what becomes of rows under a policy's token limit, where that is known.

    Raises:
        InputError: lists that the protocol cannot make (too few items; no lists in the file).
    """
    splits, looked_at = _some(splits)
    # the evaluated rows first: what cannot be made is refused there, before the many rows of training
    everything = {"test": splits.test, "valid": splits.valid, "train": _sample(splits.train)}
    n = None if candidates.n == ALL else candidates.n
    lists = {} if n is None else {
        name: attach(
            splits, rows, n=n, negatives=candidates.negatives, seed=candidates.seed,
            known=splits.known_train if name == "train" else splits.known_all,
        )
        for name, rows in everything.items() if len(rows)
    }  # fmt: skip
    return Audited(
        splits=splits,
        split=split,
        lists={name: lists[name] for name in reversed(lists)},
        file_lists={
            name: rows for name, rows in reversed(everything.items()) if rows.candidates is not None and len(rows)
        },
        negatives=candidates.negatives,
        n=n,
        title_tokens=title_tokens,
        looked_at=looked_at,
        limited=limited or {},
    )


def _some(splits: Splits) -> tuple[Splits, str]:
    """What fits into memory: all, or of data on the disk the rows of some users, and in words how many these are."""
    train, valid, test = splits.train, splits.valid, splits.test
    if not (isinstance(train, LazyRows) and isinstance(valid, LazyRows) and isinstance(test, LazyRows)):
        return splits, ""
    sequences = splits.sequences
    keys = RowRandom("audited users").uniform(sequences.user, 1)[:, 0]
    chosen = np.flatnonzero(keys < TRAIN_ROWS / len(train))
    users, lists = sequences.user[chosen], Ragged(sequences.items, sequences.offsets)[chosen]
    some = replace(
        splits,
        train=train.of_users(users),
        valid=valid.of_users(users),
        test=test.of_users(users),
        sequences=Sequences(users, lists.items, lists.offsets),
    )
    said = f"{len(users):,} of {len(sequences):,} users"
    return some, said if len(users) < len(sequences) else ""


def _sample(rows: Rows) -> Rows:
    if len(rows) <= TRAIN_ROWS:
        return rows
    keys = RowRandom("audited training rows").uniform(rows.id, 1)[:, 0]
    return rows[np.sort(np.argpartition(keys, TRAIN_ROWS)[:TRAIN_ROWS])]


def check(audits: Mapping[str, Audit], subject: Audited) -> list[Check]:
    """What every audit finds. An audit that breaks is a warning of its own, never the end of a run."""
    looked_at = f" Looked at: {subject.looked_at}." if subject.looked_at else ""
    found = {name: _finding(audit, subject) for name, audit in audits.items()}
    return [Check(name, replace(finding, meaning=finding.meaning + looked_at)) for name, finding in found.items()]


def _finding(audit: Audit, subject: Audited) -> Finding:
    if isinstance(audit, OfLists) and "lists" in audit.needs and not subject.lists:
        return Finding(None, "ok", "No lists are drawn: the whole catalogue is ranked.")
    try:
        return audit.check(subject)
    except Exception as error:  # audits are plugins: anything may come out of them, and a run must not hang on them
        return Finding(None, "warn", f"The audit itself broke: {type(error).__name__}: {error}.",
                       "tell the authors of the audit")  # fmt: skip


def short_form(checks: Sequence[Check]) -> list[tuple[str, str]]:
    """A summary line, and a line for each finding that is not ok; each with the style it is printed in."""
    lines = [(f"audit {c.finding.verdict}: {c.name}: {c.finding.meaning}", style_of(c.finding.verdict))
             for c in checks if c.finding.verdict != "ok"]  # fmt: skip
    counts = {v: sum(c.finding.verdict == v for c in checks) for v in ("ok", "warn", "fail")}
    return [*lines, (f"audits: {counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail", "")]


def style_of(verdict: str) -> str:
    """How a verdict looks in a terminal."""
    return {"ok": "green", "warn": "yellow", "fail": "bold red"}.get(verdict, "")


def at_start(
    folder: Path, audits: Mapping[str, Audit], make: Callable[[], Audited], say: Callable[[str, str], None]
) -> None:
    """Audits a run before it trains: writes ``audits.json``, and says what is not ok. A resumed run has been audited.

    Args:
        folder: the run.
        audits: audits by name.
        make: gives what they look at; called only if the run has not been audited.
        say: prints one line in a style.
    """
    if (folder / FILE).is_file():
        return
    try:
        checks = check(audits, make())
    except PoloError as error:
        # the lists of rows that this run does not use cannot be made; its own were made before
        say(f"audits: not run: {error}", "yellow")
        write_json(folder / FILE, {"checks": [], "error": str(error)})
        return
    write_json(folder / FILE, {"checks": [c.plain() for c in checks]})
    for line, style in short_form(checks):
        say(line, style)


def of_run(folder: Path) -> list[dict[str, Any]]:
    """The checks that a run kept; empty if it kept none.

    Raises:
        InputError: the file is damaged; what an audit found must not be lost without a word.
    """
    if not (folder / FILE).is_file():
        return []
    found: Audits = read(folder / FILE, Audits, fix="remove it; --resume RUN audits again")
    return [dict(check) for check in found["checks"]]
