"""A run audited before it trains: what its audits look at. Which audits there are is the plugins' business."""

from __future__ import annotations

from collections.abc import Callable

import torch

from polo.audit import verdicts
from polo.protocols import Policy
from polo.recipe.model import Recipe
from polo.run import own
from polo.run.prepare import Prepared
from polo.store.runfolder import RunFolder


def at_start(
    folder: RunFolder, recipe: Recipe, ready: Prepared, policy: Policy, say: Callable[[str, str], None]
) -> None:
    """Whether the data and the protocol can be trusted, before anything is trained on them."""
    splits = ready.splits
    tokens = policy.tokens(torch.arange(len(splits.items))[None])[0].numpy() if policy.unit == "logprob" else None
    verdicts.at_start(
        folder.path,
        ready.composer.audits(),
        lambda: verdicts.audited(
            splits,
            recipe.candidates,
            split=recipe.evaluate.split,
            title_tokens=tokens,
            limited=own.limited(splits, policy),
        ),
        say,
    )
