"""The table at the end of several seeds: each system's mean over them. Knows finished runs; prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from polo.candidates import in_words
from polo.evaluate.metrics import MODEL
from polo.evaluate.seeds import interval_over_seeds
from polo.report.closing import Closing
from polo.report.compare import Contender, difference, metrics_of, same_protocol
from polo.report.runs import Finished
from polo.report.tables import figure, p_value

#: metrics shown: the first ones, in the order of the recipe
SHOWN: Final = 3


def closing_of_seeds(runs: Sequence[Finished]) -> Closing:
    """Each system's figures over users and seeds, and what the model adds to it; from low to high by the first metric.

    Raises:
        InputError: the runs were evaluated under different protocols.
    """
    same_protocol(runs)
    first = runs[0]
    found = [Contender(name, tuple(runs), name) for name in first.values if all(name in run.values for run in runs)]
    model = next(one for one in found if one.name == MODEL)
    metrics = metrics_of(found)[:SHOWN]
    rows = []
    for one in sorted(found, key=lambda one: float(one.values(metrics[0]).mean())):
        cells = []
        for values in (one.values(metric) for metric in metrics):
            mean, low, high = interval_over_seeds(values, first.users)
            spread = f" sd {np.std(values.mean(axis=1), ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]{spread}")
        between = ""
        if one is not model:
            test = difference(model, one, metrics[0])
            p = p_value(test.p)
            between = (f"{figure(test.difference, sign=True)} [{figure(test.low, sign=True)}, "
                       f"{figure(test.high, sign=True)}], p {p if p.startswith('<') else f'= {p}'}")  # fmt: skip
        rows.append([one.name, *cells, between])
    protocol, seeds = first.protocol, ", ".join(map(str, model.seeds))
    words = "seeds" if len(runs) > 1 else "seed"
    return Closing(
        f"{first.name}, {words} {seeds}: {protocol['data']} ({protocol['form']}), {protocol['split']} split: "
        f"{protocol['rows']:,} rows, {in_words(protocol)}",
        ["system", *metrics, f"model minus system, {metrics[0]}"],
        rows,
        "mean over seeds, 95 % interval over users and seeds together, sd of the seeds' means; paired tests likewise; "
        f"protocol {protocol['hash']}",
    )
