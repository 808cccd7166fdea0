"""From columns of events to splits: filters, then one of the split rules, or the parts that files have given.

Knows users, items, times and ratings as columns. Knows no file: sources read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polo import FloatArray, InputError, IntArray, ItemTable, Splits
from polo_datasets.building import Divided, by_user, finish, leave_last_out, sequences_of, tied_times
from polo_datasets.events import Events, divide, in_order
from polo_datasets.filters import core_notes, k_core
from polo_datasets.split_options import SplitOptions
from polo_datasets.splitting import by_ratio, by_time, cuts


@dataclass(frozen=True)
class Columns:
    """M events as files have them.

    Args:
        user: int64 ``[M]``, numbers from 0.
        item: int64 ``[M]``, places in the item table.
        time: float64 ``[M]``, or ``None``: the order of the file holds.
        rating: float64 ``[M]``, or ``None`` where the files have none.
        part: int64 ``[M]``, where the files say what is training, validation and test.
    """

    user: IntArray
    item: IntArray
    time: FloatArray | None
    rating: FloatArray | None = None
    part: IntArray | None = None


def split(
    columns: Columns, items: ItemTable, options: SplitOptions, *, name: str, form: str, licence: str,
    notes: Mapping[str, int], where: str,
) -> Splits:  # fmt: skip
    """Filters and splits.

    Items that a filter leaves no event are not of the catalogue; without a filter all of the table are.

    Args:
        columns: the events.
        items: what they are about.
        options: how to split.
        name, form, licence, notes, where: as :func:`polo_datasets.building.finish` takes them; ``form`` is completed.

    Raises:
        InputError: the split rule needs times and there are none, a rating is asked for and there is none, or nothing
            is left.
    """
    told = dict(notes)
    low = _low(columns, options, where)
    if low is not None:
        told[f"interactions dropped: rating below {options.min_rating:g}"] = int(low.sum())
    here = np.flatnonzero(~low) if low is not None else np.arange(len(columns.user))
    time, part = _maybe(columns.time, here), _maybe(columns.part, here)
    events, at = in_order(columns.user[here], columns.item[here], time, part)
    told["interactions dropped: repeated user and item"] = len(here) - len(events)
    part = _maybe(part, at)
    if options.k_core > 1:
        kept = k_core(events.user, events.item, options.k_core)
        told |= core_notes(events.user, events.item, kept, options.k_core)
        events, part = events[kept], _maybe(part, np.flatnonzero(kept))
    if not len(events):
        raise InputError("empty data set: no interactions are left", where=where, fix="filter less")
    if low is not None or options.k_core > 1:
        taken, item = np.unique(events.item, return_inverse=True)
        told["items dropped: no interaction left"] = len(items) - len(taken)
        items, events = only(items, taken.tolist()), Events(events.user, item.astype(np.int64), events.time)
        events = Events(np.unique(events.user, return_inverse=True)[1].astype(np.int64), events.item, events.time)
    divided, rule = _divided(events, part, options)
    return finish(
        divided,
        name=name,
        form=f"{form}, {rule}{filters_said(options)}",
        items=items,
        licence=licence,
        notes=told,
        where=where,
        tied_times=None if events.time is None else tied_times(events.user, events.time),
    )


def _divided(events: Events, part: IntArray | None, o: SplitOptions) -> tuple[Divided, str]:
    """The three parts, and the rule in words."""
    if part is None and o.split == "leave_last_out":
        return leave_last_out(sequences_of(events.user, events.item), o.history, o.min_history), o.split
    if part is None and o.split == "by_user":
        return by_user(sequences_of(events.user, events.item), o.history, o.min_history, o.seed), o.split
    if part is not None:
        rule = "given"
    elif o.split == "by_time":
        if events.time is None:
            raise InputError(
                "split by_time needs times, and the data have none",
                where="data.split",
                fix="name the column of times, or choose another split",
            )
        at = cuts(events.time, o.valid_share, o.test_share)
        part, rule = by_time(events.time, at), f"by_time ({at})"
    else:
        shares = {"valid_share": o.valid_share, "test_share": o.test_share}
        part = by_ratio(events.user, events.item, **shares, share_of=o.share_of, seed=o.seed)
        rule = f"ratio ({o.valid_share:g} and {o.test_share:g} of {o.share_of}, seed {o.seed})"
    rule += ", sets" if o.sets else ""
    return divide(events, part, history=o.history, min_history=o.min_history, sets=o.sets), rule


def _low(columns: Columns, options: SplitOptions, where: str) -> np.ndarray | None:
    """``[M]`` which events are rated too low; ``None`` where no rating is asked for."""
    if options.min_rating is None:
        return None
    if columns.rating is None:
        raise InputError(
            "min_rating needs ratings, and the data have none",
            where=where,
            fix="name the column of ratings, or leave data.min_rating out",
        )
    return columns.rating < options.min_rating


def filters_said(options: SplitOptions) -> str:
    """What the form of the data says of its filters."""
    core = f", {options.k_core}-core" if options.k_core > 1 else ""
    return core + (f", rating >= {options.min_rating:g}" if options.min_rating is not None else "")


def only(items: ItemTable, kept: Sequence[int]) -> ItemTable:
    """The table with some of its items."""
    facts = {name: [column[i] for i in kept] for name, column in items.facts.items()}
    return ItemTable([items.titles[i] for i in kept], [items.ids[i] for i in kept], facts)


def _maybe(column: np.ndarray | None, at: IntArray) -> np.ndarray | None:
    return None if column is None else column[at]
