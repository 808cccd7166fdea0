"""A diagnosis: each rung of a ladder trained as a run of its own, and its vectors looked at, at the start and the end.

Knows runs and rungs; how vectors are measured is in ``polo.evaluate.geometry`` and ``curvature``, how it is shown in
``polo.report.diagnosis``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from polo.data import FloatArray, Rows, Splits
from polo.errors import InputError
from polo.evaluate import curvature, geometry
from polo.evaluate.metrics import MODEL
from polo.plugin.load import Plugins
from polo.protocols import Embeds, Policy
from polo.recipe.model import Resolved
from polo.report.diagnosis import Diagnosed, Seen
from polo.run.opening import named
from polo.run.run import Run
from polo.store.runfolder import RunFolder

#: rows at whose vectors curvature is measured
ROWS: Final = 32


def diagnose(
    name: str,
    resolved: Resolved,
    plugins: Plugins,
    changes: Sequence[str],
    said: Callable[[str], None],
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> Diagnosed:
    """Trains one rung and looks at its vectors.

    Args:
        name: of the rung.
        resolved: its recipe.
        changes: what it changes of the recipe, as it was given.
        said: receives a line.
        quiet, verbose: say nothing but warnings, or more than usual.

    Raises:
        InputError: the policy has no vectors to look at, or refuses the rung's.
    """
    job = Run(named(resolved), plugins, quiet=quiet, verbose=verbose)
    if not quiet:
        said(f"rung {name}")
    folder, results = job.execute()
    policy, ready = job.opened(folder)
    vectors = embedding(policy)
    rows = sample(ready.test)
    start = seen(vectors, rows, ready.splits)
    last = list(resolved.recipe.stages)[-1]
    policy.load(folder.stage(last) / "policy")
    end = seen(vectors, rows, ready.splits)
    figures = {metric: cell["value"] for metric, cell in results["systems"][MODEL].items()}
    return Diagnosed(name, folder.path.name, tuple(changes), losses(folder, resolved), start, end, figures)


def embedding(policy: Policy) -> Embeds:
    """The policy as one whose score is a product of two vectors.

    Raises:
        InputError: it is none.
    """
    if not isinstance(policy, Embeds):
        raise InputError("this policy's scores are no products of a row's and an item's vector", where="policy",
                         fix="diagnose a recipe with an embedding policy")  # fmt: skip
    return policy


def check(resolved: Resolved, plugins: Plugins, *, quiet: bool = False) -> None:
    """Builds a rung's policy and throws it away, so that what cannot be trained is told before anything is.

    Args:
        quiet: say nothing but warnings.

    Raises:
        InputError: as :func:`diagnose`.
    """
    embedding(Run(named(resolved), plugins, quiet=quiet).opened(None)[0])


def sample(rows: Rows) -> Rows:
    """Rows at equal distances, at most :data:`ROWS`."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(np.int64))]


def seen(policy: Embeds, rows: Rows, splits: Splits) -> Seen:
    """Geometry of the item vectors, and the median spectrum of the Hessians at the rows' vectors."""
    items, found = spectra(policy, rows)
    lie = geometry.look(items, splits.sequences)
    shares = found / np.maximum(found[:, :1], np.finfo(float).tiny)
    return Seen(
        lengths=lie.lengths.tolist(),
        disparity=lie.disparity,
        crowding=lie.crowding,
        agreement=lie.agreement,
        condition=float(np.median([curvature.condition(one) for one in found])),
        spectrum=np.median(shares, axis=0).tolist(),
    )


def condition(policy: Embeds, rows: Rows) -> float:
    """The median condition number of the Hessians at the rows' vectors."""
    return float(np.median([curvature.condition(one) for one in spectra(policy, rows)[1]]))


def spectra(policy: Embeds, rows: Rows) -> tuple[FloatArray, FloatArray]:
    """The item vectors ``[n, d]``, and the eigenvalues ``[b, m]`` of the Hessian at each row's vector."""
    module = policy.module if isinstance(policy, Policy) else None
    training = module is not None and module.training
    if module is not None:
        module.eval()
    with torch.no_grad():
        items, users = (v.detach().double().cpu().numpy() for v in (policy.item_vectors(), policy.user_vectors(rows)))
    if module is not None:
        module.train(training)
    return items, np.stack([curvature.spectrum(items, user) for user in users])


def losses(folder: RunFolder, resolved: Resolved) -> Mapping[str, list[tuple[float, float]]]:
    """(step, loss) of each stage."""
    lines = folder.metrics()

    def of(stage: str) -> list[tuple[float, float]]:
        chosen: list[Any] = [line for line in lines if line["stage"] == stage and "loss" in line]
        return [(float(line["step"]), float(line["loss"])) for line in chosen]

    return {stage: of(stage) for stage in resolved.recipe.stages}
