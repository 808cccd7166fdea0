"""Training on the whole catalogue at once: every embedding policy, in any passes and processes, against all scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from polo.errors import PoloError
from polo.model.sharding import spread, whole
from polo.testing import context
from polo.train.objective import Objective
from polo.train.step import Stepper
from polo_preference.options.losses import Term
from tests.contracts.components import choice, make
from tests.polo_backbones.world import POLICIES, SPLITS, made
from tests.processes import together

ROWS = SPLITS.train[:9]
#: cross-entropy by itself, row by row; beside a loss that needs negatives and the whole batch
ALONE, BESIDE = "alone", "beside"


def objective(form: str) -> Objective:
    ctx = context(splits=SPLITS)
    if form == ALONE:
        return Objective(loss=make("loss", "cross_entropy", ctx))
    terms = (Term(loss=choice("loss", "cross_entropy"), weight=0.5), Term(loss=choice("loss", "bsl")))
    return Objective(loss=make("loss", "sum", ctx, of=terms), sampler=make("sampler", "uniform", ctx, k=3))


def plain(name: str) -> Any:
    """The policy in float64, without dropout or noise, and without terms of its own."""
    return made(name, score="cosine", tau=0.2, **({"l2": 0.0, "contrast": 0.0} if name == "xsimgcl" else {}))


def stepped(name: str, form: str, accelerator: Accelerator, budget: int, *, shard: bool = False) -> dict[str, Any]:
    """Gradient and losses of a step."""
    policy = plain(name)
    policy.module = spread(policy.module, accelerator, shard=shard)
    judged = Stepper(policy, objective(form), accelerator, budget, (0, "fit")).backward(ROWS, 2, 0, 0.0)
    gradient = {n.removeprefix("module."): whole(p.grad).clone() for n, p in policy.module.named_parameters()
                if p.grad is not None}  # fmt: skip
    return {"gradient": gradient, "loss": {int(r): float(v) for one in judged
                                           for r, v in zip(one.scores.rows, one.loss, strict=True)}}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_law_the_loss_is_that_of_a_softmax_over_all_scores(name: str) -> None:
    found = stepped(name, ALONE, Accelerator(cpu=True), 10**6)
    policy = plain(name)
    scores = policy.score(ROWS, torch.arange(60).expand(len(ROWS), -1))
    losses = torch.nn.functional.cross_entropy(scores, torch.from_numpy(ROWS.target), reduction="none")
    losses.mean().backward()
    for row, loss in zip(ROWS.id.tolist(), losses.tolist(), strict=True):
        assert found["loss"][row] == pytest.approx(loss, rel=1e-12)
    for parameter, gradient in found["gradient"].items():
        expected: Tensor = policy.net.get_parameter(parameter).grad
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


CASES = [(name, form) for name in ("mf", "sasrec", "xsimgcl") for form in (ALONE, BESIDE)]


def in_processes(accelerator: Accelerator, folder: Path) -> list[dict[str, Any]]:
    return [stepped(*case, accelerator, 12, shard=shard) for case in CASES for shard in (False, True)]


def test_law_passes_and_processes_change_nothing(tmp_path: Path) -> None:
    alone = Accelerator(cpu=True)
    judges = [stepped(*case, alone, 10**6) for case in CASES]
    ranks = together(in_processes, tmp_path, 2)
    for at, judge in enumerate(judges):
        split = stepped(*CASES[at], alone, 12)
        assert split["loss"] == pytest.approx(judge["loss"], rel=1e-12)
        torch.testing.assert_close(split["gradient"], judge["gradient"], rtol=1e-9, atol=1e-12)
        for shard in (0, 1):
            several = [rank[2 * at + shard] for rank in ranks]
            together_ = several[0]["loss"] | several[1]["loss"]
            assert together_ == pytest.approx(judge["loss"], rel=1e-12)
            for one in several:
                torch.testing.assert_close(one["gradient"], judge["gradient"], rtol=1e-9, atol=1e-12)


def test_a_head_that_was_given_no_total_says_so() -> None:
    from polo import Scores

    none = torch.empty(1, 0)
    with pytest.raises(PoloError, match="no log-total"):
        make("loss", "cross_entropy", context())(Scores.of(torch.zeros(1, 1)), none.bool(), none)
