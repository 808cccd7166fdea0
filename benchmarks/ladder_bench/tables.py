"""Tables and sentences of finished cells. Knows figures and rows; runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ladder_bench.cells import RUNGS
from ladder_bench.kept import Columns
from polo.evaluate.significance import interval
from polo.report.diagnosis import short

#: resamples of a table's intervals
_RESAMPLES = 2000
_HEADS = (
    "rung", "loss", "kappa, start", "kappa, end", "Recall@10", "Recall@20", "NDCG@10", "NDCG@20", "NDCG@10 over random",
    "cold Recall@20", "cold NDCG@20", "seeds",
)  # fmt: skip
NOTE = (
    "Mean over seeds; loss: mean of the last tenth of the steps; kappa: median condition number of the softmax loss's "
    "Hessian at 32 test rows' vectors, geometric mean over seeds; brackets: 95 % intervals of rows' means over seeds, "
    "clustered by user, which cover the choice of users, not of seeds."
)


def tables(cells: Mapping[str, Mapping[str, Any]], rows: Callable[[str], Columns]) -> Iterator[str]:
    """A Markdown table for each data set, backbone, text and use, random vectors in each, and what it says."""
    groups = dict.fromkeys(
        (c["data"], c["backbone"], c["text"], c["use"]) for c in cells.values() if c["rung"] != "random"
    )
    for data, backbone, text, use in groups:
        found = {
            rung: [c for c in cells.values() if (c["data"], c["backbone"], c["rung"]) == (data, backbone, rung)
                   and (rung == "random" or (c["text"], c["use"]) == (text, use))]
            for rung in RUNGS
        }  # fmt: skip
        found = {rung: some for rung, some in found.items() if some}
        yield _table(f"{data}, {backbone}, {text}, {use}", found, rows)


def _table(title: str, found: Mapping[str, Sequence[Mapping[str, Any]]], rows: Callable[[str], Columns]) -> str:
    means = {rung: _mean([rows(_key(cell)) for cell in some]) for rung, some in found.items()}
    lines = [f"**{title}**", "", f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    for rung, some in found.items():
        of, base = means[rung], means.get("random")
        kappas = [float(np.exp(np.mean([np.log(cell["kappa"][at]) for cell in some]))) for at in ("start", "end")]
        over = (
            "" if base is None or rung == "random" else _interval(of["ndcg@10"] - base["ndcg@10"], of["user"], "+.4f")
        )
        line = [rung, f"{np.mean([cell['loss'] for cell in some]):.3f}", *map(short, kappas),
                *(_interval(of[name], of["user"]) for name in ("recall@10", "recall@20", "ndcg@10", "ndcg@20")), over,
                *(_interval(of[f"cold/{name}"], of["cold/user"]) for name in ("recall@20", "ndcg@20")),
                str(len(some))]  # fmt: skip
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join([*lines, "", _said(found, means)])


def _key(cell: Mapping[str, Any]) -> str:
    return "/".join(str(cell[name]) for name in ("data", "backbone", "text", "use", "rung", "seed"))


def _mean(columns: Sequence[Columns]) -> dict[str, np.ndarray]:
    """Of each row over the seeds, whose rows are the same."""
    return {name: np.mean([one[name] for one in columns], axis=0, dtype=np.float64) for name in columns[0]}


def _interval(values: np.ndarray, users: np.ndarray, form: str = ".4f") -> str:
    if not len(values):
        return "none"
    value, low, high = interval(values, users.astype(np.int64), resamples=_RESAMPLES)
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _said(found: Mapping[str, Sequence[Mapping[str, Any]]], means: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Whether figures rise and fall along the ladder, step by step."""
    loss = [float(np.mean([cell["loss"] for cell in some])) for some in found.values()]
    kappa = [float(np.mean([np.log(cell["kappa"]["end"]) for cell in some])) for some in found.values()]
    gain = [float(means[rung]["ndcg@10"].mean()) for rung in found]
    return (f"Along the rungs NDCG@10 rises at {_up(gain)} of {len(gain) - 1} steps, kappa at the end falls at "
            f"{_up([-x for x in kappa])}, the loss at {_up([-x for x in loss])}.")  # fmt: skip


def _up(values: Sequence[float]) -> int:
    return sum(b > a for a, b in pairwise(values))
