"""From one record to a prompt with its answers, by the form that its columns have. Knows no file but the place's name.

Forms are those of TRL's documentation (dataset formats, 1.16) and of DMPO's files (arXiv 2405.16127).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polo import InputError, Said, plain

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """A prompt with its answers; ``chosen`` is ``None`` for a bad completion on its own."""

    prompt: Said
    chosen: Said | None
    rejected: Sequence[Said]


def form_of(record: Record, where: str) -> str:
    """Name of the form, by columns with something in them; ``label`` may be false.

    Example:
        >>> form_of({"prompt": "p", "chosen": "a", "rejected": "b"}, "file:1")
        'explicit prompt'

    Raises:
        InputError: none of the forms.
    """
    there = set(record)
    for name, (columns, _) in FORMS.items():
        if columns <= there:
            return name
    known = "; ".join(", ".join(sorted(columns)) for columns, _ in FORMS.values())
    raise InputError(f"columns {', '.join(sorted(map(str, there))) or '(none)'} are no form of preference data",
                     where=where, fix=f"name the columns as one of: {known}")  # fmt: skip


def read(form: str, record: Record, where: str) -> Answered:
    """The record as a prompt with answers.

    Raises:
        InputError: a fault of this record; says where.
    """
    columns, parse = FORMS[form]
    absent = next((name for name in sorted(columns) if record.get(name) is None), None)
    if absent is not None:
        raise InputError(f"no {absent} in this row", where=where, fix="mend the row, or set data.bad_rows: drop")
    if record.get("tools"):
        raise InputError("column tools: calls of tools are not read", where=where, fix="leave such rows out")
    return checked(parse(record, where), where)


def checked(row: Answered, where: str) -> Answered:
    """The row, if there is no fault in it."""
    answers = [*([] if row.chosen is None else [row.chosen]), *row.rejected]
    kinds = {isinstance(said, str) for said in (row.prompt, *answers)}
    fix = "mend the row, or set data.bad_rows: drop"
    if len(kinds) > 1:
        raise InputError("some of it is text and some a conversation", where=where, fix=fix)
    for what, said in [("the prompt", row.prompt), *(("an answer", said) for said in answers)]:
        if not plain(said).strip():
            raise InputError(f"{what} is empty", where=where, fix=fix)
    if row.chosen is not None and row.chosen in row.rejected:
        raise InputError("a rejected answer is equal to the chosen one", where=where, fix=fix)
    if any(row.rejected.index(said) < at for at, said in enumerate(row.rejected)):
        raise InputError("two rejected answers are equal", where=where, fix=fix)
    return row


def reversed_parts(said: Said, between: str, where: str) -> Said:
    """A ranking in the other order; space around it stays.

    Example:
        >>> reversed_parts(" A, B ", ", ", "file:1")
        ' B, A '

    Raises:
        InputError: the answer is no text with several parts, or is the same both ways.
    """
    parts = said.strip().split(between) if isinstance(said, str) else []
    if len(parts) < 2 or parts == parts[::-1]:
        raise InputError(f"this answer is no ranking with {between!r} between its parts", where=where,
                         fix="leave data.reverse out")  # fmt: skip
    assert isinstance(said, str)
    whole = said.strip()
    begin = said.index(whole)
    return said[:begin] + between.join(parts[::-1]) + said[begin + len(whole) :]


def _explicit(record: Record, where: str) -> Answered:
    return Answered(
        _said(record["prompt"], "prompt", where),
        _said(record["chosen"], "chosen", where),
        _several(record["rejected"], "rejected", where),
    )


def _implicit(record: Record, where: str) -> Answered:
    chosen, rejected = _said(record["chosen"], "chosen", where), _several(record["rejected"], "rejected", where)
    if any(isinstance(one, str) != isinstance(chosen, str) for one in rejected):
        raise InputError("some of it is text and some a conversation", where=where)
    shared = min((_alike(chosen, one) for one in rejected), default=0)
    if isinstance(chosen, str) and shared and chosen[shared - 1] == " ":
        shared -= 1  # the space belongs to the answer, as TRL has it
    return Answered(chosen[:shared], chosen[shared:], [one[shared:] for one in rejected])


def _unpaired(record: Record, where: str) -> Answered:
    label, said = record["label"], _said(record["completion"], "completion", where)
    if label not in (True, False):
        raise InputError(f"label is {label!r}, neither true nor false", where=where)
    prompt = _said(record["prompt"], "prompt", where)
    return Answered(prompt, said, []) if label else Answered(prompt, None, [said])


def _good(record: Record, where: str) -> Answered:
    return Answered(_said(record["prompt"], "prompt", where), _said(record["completion"], "completion", where), [])


def _instruction(record: Record, where: str) -> Answered:
    said, given = record["output"], record.get("input")
    outputs = [said] if isinstance(said, str) else said
    if not isinstance(outputs, list) or not all(isinstance(one, str) for one in outputs):
        raise InputError("output is neither a text nor a list of texts", where=where)
    if not outputs:
        raise InputError("no chosen answer in output", where=where)
    prompt = _said(record["instruction"], "instruction", where)
    if not isinstance(prompt, str):
        raise InputError("instruction is no text", where=where)
    return Answered(f"{prompt}\n{given}" if given else prompt, outputs[0], outputs[1:])


#: by name, in the order in which they are looked for: the columns that a record must have, and what reads it
FORMS: Mapping[str, tuple[frozenset[str], Callable[[Record, str], Answered]]] = {
    "explicit prompt": (frozenset({"prompt", "chosen", "rejected"}), _explicit),
    "unpaired": (frozenset({"prompt", "completion", "label"}), _unpaired),
    "good answers": (frozenset({"prompt", "completion"}), _good),
    "implicit prompt": (frozenset({"chosen", "rejected"}), _implicit),
    "instruction": (frozenset({"instruction", "output"}), _instruction),
}


def _alike(a: Said, b: Said) -> int:
    """How many characters or messages two answers begin with in common."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _said(value: Any, name: str, where: str) -> Said:
    """Text as it is; messages with role and content alone."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        if all(isinstance(one.get("role"), str) and isinstance(one.get("content"), str) for one in value):
            return tuple({"role": one["role"], "content": one["content"]} for one in value)
        raise InputError(f"a message of {name} lacks a role or a content that is text", where=where)
    raise InputError(f"{name} is neither text nor a list of messages", where=where)


def _several(value: Any, name: str, where: str) -> list[Said]:
    """One answer, or a list of them."""
    if isinstance(value, list) and value and all(isinstance(one, (str, list)) for one in value):
        return [_said(one, name, where) for one in value]
    if value == []:
        raise InputError(f"no answer in {name}", where=where)
    return [_said(value, name, where)]
