"""From files of preferences to splits whose rows have texts of their own (see ``polo.texts``)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from polo import (
    PAD,
    Context,
    InputError,
    IntArray,
    ItemTable,
    Known,
    OwnTexts,
    RowRandom,
    Rows,
    Said,
    Sequences,
    Splits,
    plain,
)
from polo_datasets.preferences.forms import Answered, form_of, read, reversed_parts
from polo_datasets.preferences.options import PreferencesOptions
from polo_datasets.preferences.stored import find, records

#: lines that an error names
_NAMED = 5
_EMPTY = np.empty(0, np.int64)


class Preferences:
    """The data source ``preferences``."""

    def __init__(self, options: PreferencesOptions, context: Context) -> None:
        self._options = options

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: a file is missing or of no known form, or rows have faults (file and lines are named).
        """
        o = self._options
        given = {"train": o.train, "valid": o.valid, "test": o.test}
        read_ = {name: _Read.of(path, f"data.{name}", o) for name, path in given.items() if path is not None}
        table = _Table()
        rows = {name: [table.add(row) for row in one.rows] for name, one in read_.items()}
        notes = Counter({text: count for one in read_.values() for text, count in one.dropped.items()})
        drawn = _draw(rows["train"], [name for name in ("valid", "test") if name not in rows], o)
        rows |= drawn
        for name in ("valid", "test"):
            measurable = [row for row in rows[name] if len(row.answers) > 1]
            notes["rows not measured: no rejected answer"] += len(rows[name]) - len(measurable)
            rows[name] = measurable
        if len({isinstance(said, str) for said in table.answers}) > 1:
            raise InputError("some files are text and some conversations", where="data", fix="make them one form")
        forms = sorted({one.form for one in read_.values()})
        return _splits(o, rows, table, ", ".join(forms), {text: n for text, n in notes.items() if n})


@dataclass
class _Row:
    prompt: int
    answers: list[int]


@dataclass
class _Table:
    """Prompts and answers by number; equal prompts are one, answers are as many as there are."""

    prompts: list[Said] = field(default_factory=list)
    answers: list[Said] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, row: Answered) -> _Row:
        number = self._numbers.setdefault(key(row.prompt), len(self.prompts))
        if number == len(self.prompts):
            self.prompts.append(row.prompt)
        assert row.chosen is not None
        start = len(self.answers)
        self.answers += [row.chosen, *row.rejected]
        return _Row(number, list(range(start, len(self.answers))))


def key(said: Said) -> str:
    """What tells two texts or conversations apart."""
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


@dataclass
class _Read:
    """What one file holds."""

    form: str
    rows: list[Answered]
    dropped: Counter[str]

    @classmethod
    def of(cls, given: str, option: str, options: PreferencesOptions) -> _Read:
        path = find(given, option)
        out, form, bad = cls("", [], Counter()), "", list[InputError]()
        for line, record in records(path):
            where = f"{path}:{line}"
            form = form or form_of(record, where)
            try:
                row = read(form, record, where)
                if options.reverse is not None and row.chosen is not None and not row.rejected:
                    row = replace(row, rejected=[reversed_parts(row.chosen, options.reverse, where)])
            except InputError as error:
                bad.append(error)
                continue
            out.rows.append(row)
        if bad and options.bad_rows == "refuse":
            raise _named(bad)
        out.dropped.update(f"rows dropped: {error.what}" for error in bad)
        if not out.rows:
            raise InputError("empty data set: no rows", where=str(path), fix="give a file with rows")
        out.form = form
        if form == "unpaired":
            out._pair(options)
        return out

    def _pair(self, options: PreferencesOptions) -> None:
        """Completions of one prompt, good and bad, become rows: one for each good one, with all bad ones."""
        good, bad = dict[str, list[Answered]](), dict[str, list[Said]]()
        for row in self.rows:
            if row.chosen is None:
                bad.setdefault(key(row.prompt), []).extend(row.rejected)
            else:
                good.setdefault(key(row.prompt), []).append(row)
        rows = []
        for name, some in good.items():
            seen = {key(row.chosen): row for row in some if row.chosen is not None}
            others = {key(said): said for said in bad.get(name, ())}
            rejected = [said for k, said in others.items() if k not in seen]
            rows += [replace(row, rejected=rejected) for row in seen.values()]
            self.dropped["completions dropped: labelled both good and bad for one prompt"] += len(others.keys() & seen)
        alone = [name for name in bad if name not in good]
        self.dropped["completions dropped: bad, and their prompt has no good one"] += sum(len(bad[n]) for n in alone)
        self.rows = rows


def _named(bad: Sequence[InputError]) -> InputError:
    first, others = bad[0], [str(error.where) for error in bad[1:_NAMED]]
    more = f" (and {len(bad) - 1} more: {', '.join(others)}{', ...' if len(bad) > _NAMED else ''})" if others else ""
    return InputError(f"{first.what}{more}", where=first.where,
                      fix=first.fix or "mend these rows, or set data.bad_rows: drop")  # fmt: skip


def _draw(train: list[_Row], wanted: Sequence[str], options: PreferencesOptions) -> dict[str, list[_Row]]:
    """The splits that have no file: whole prompts, drawn by their numbers; and what is left for training."""
    numbers = np.unique([row.prompt for row in train])
    order = np.argsort(RowRandom(options.seed, "held out prompts").uniform(numbers, 1)[:, 0], kind="stable")
    share = round(options.held_out * len(numbers))
    split: dict[int, str] = {}
    for place, name in enumerate(wanted):
        split |= dict.fromkeys(numbers[order[place * share : (place + 1) * share]].tolist(), name)
    out: dict[str, list[_Row]] = {name: [] for name in ("train", *wanted)}
    for row in train:
        out[split.get(row.prompt, "train")].append(row)
    return out


def _splits(
    options: PreferencesOptions, rows: Mapping[str, list[_Row]], table: _Table, form: str, notes: Mapping[str, int]
) -> Splits:
    width = max(2, *(len(row.answers) for some in rows.values() for row in some))
    made, start = {}, 0
    for name in ("train", "valid", "test"):
        made[name] = _columns(rows[name], start, width)
        start += len(rows[name])
    items = ItemTable([plain(said) for said in table.answers], [str(i) for i in range(len(table.answers))])
    nobody = Known(_EMPTY, _EMPTY, n_items=len(items))
    return Splits(
        name=options.name,
        form=form,
        items=items,
        train=made["train"],
        valid=made["valid"],
        test=made["test"],
        sequences=Sequences(_EMPTY, _EMPTY, np.zeros(1, np.int64)),
        known_train=nobody,
        known_all=nobody,
        fingerprint=_fingerprint(options.name, form, table, made),
        licence=options.licence,
        notes=notes,
        own=OwnTexts(table.prompts, table.answers),
    )


def _columns(rows: Sequence[_Row], start: int, width: int) -> Rows:
    lists = np.full((len(rows), width), PAD, np.int64)
    for i, row in enumerate(rows):
        lists[i, : len(row.answers)] = row.answers
    number: IntArray = np.arange(start, start + len(rows), dtype=np.int64)
    prompts = np.array([row.prompt for row in rows], np.int64)
    return Rows(number, prompts, np.empty((len(rows), 0), np.int64), lists[:, 0].copy(), lists)


def _fingerprint(name: str, form: str, table: _Table, rows: Mapping[str, Rows]) -> str:
    texts = [name, form, list(table.prompts), list(table.answers)]
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for some in rows.values():
        assert some.candidates is not None
        digest.update(str(some.candidates.shape).encode())
        for array in (some.user, some.candidates):
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()
