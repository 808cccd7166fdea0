"""The best titles of a catalogue with vLLM: the policy's own search, which asks vLLM instead of its own weights.

What comes back is scored by the policy too, so that a wrong engine is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polo import PAD, InputError, Policy, PoloError, Ragged, Rows, Top
from polo_vllm import check, work
from polo_vllm.asked import asking, child
from polo_vllm.decided import Decided
from polo_vllm.model import Searches, prepare
from polo_vllm.own import aside, own_scores, text_policy
from polo_vllm.place import temporary_model
from polo_vllm.worker.engine import Engine

_WHERE = "evaluate.scorer"


def find_best(
    policy: Policy,
    rows: Rows,
    k: int,
    without: Ragged | None,
    nodes: int | None,
    *,
    decided: Decided,
    root: Path,
    kept: Callable[[Mapping[str, Any]], Engine],
) -> Top:
    """The best k titles of B rows, as :class:`polo.TopItems` says.

    Args:
        policy: a text policy with a search of its own.
        rows, k, without, nodes: as ``TopItems.top_items`` takes them.
        decided: what the options come to.
        root: folder for what vLLM loads.
        kept: gives the engine of this process for settings.

    Raises:
        InputError: the policy does not search, its rows are too long, or the options ask for whole jobs on a cluster.
        PoloError: the engine fails, or its scores of what it found are not the policy's.
    """
    text = text_policy(policy)
    if not isinstance(policy, Searches):
        raise InputError("this policy does not search its titles", where=_WHERE, fix="leave the scorer out")
    if decided.options.process == "ray":
        raise InputError("a search asks one engine again and again, which Ray's actors are not for", where=_WHERE,
                         fix="use process: child, or leave the scorer out")  # fmt: skip
    longest = policy.longest_text(rows)
    limit = decided.options.max_model_len or work.position_limit(text.base_path)
    if limit is not None and longest > limit:
        raise InputError(f"the longest prompt with the longest title has {longest} tokens, the limit is {limit}",
                         where=_WHERE, fix="raise max_model_len, or lower policy.max_tokens")  # fmt: skip
    with temporary_model(root) as place, aside(policy, decided.in_child):
        model = prepare(text, decided.options.lora, place)
        settings = decided.settings(model, text, longest + 1)
        if decided.in_child:
            (place / "asked").mkdir()
            with child(place / "asked", settings, decided.options.python) as ask:
                top = policy.top_items_asking(ask, rows, k, without=without, nodes=nodes)
        else:
            engine = kept(settings["engine"])
            engine.use_adapter(settings["adapter"])
            top = policy.top_items_asking(asking(engine), rows, k, without=without, nodes=nodes)
    _insist(policy, rows, top, decided.options.tolerance or check.TOLERANCE[decided.dtype(text)])
    return top


def _insist(policy: Policy, rows: Rows, top: Top, tolerance: float) -> None:
    """Raises PoloError if the policy scores what was found otherwise."""
    worst = 0.0
    for row in range(len(rows)):
        there = top.items[row] != PAD
        if there.any():
            own = own_scores(policy, rows[row : row + 1], top.items[row : row + 1, there])[0]
            worst = max(worst, float(np.abs(own - top.scores[row, there]).max()))
    if not worst <= tolerance:
        raise PoloError(
            f"vLLM's scores of the titles it found differ from the policy's by {worst:.2g} nats; allowed are "
            f"{tolerance:g}",
            where=_WHERE,
            fix="leave the scorer out; or try lora: merge or dtype: float32",
        )
