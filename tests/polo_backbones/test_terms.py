"""Terms that embedding policies add to the loss of a step, by paper and pencil."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from polo import PAD, ExtraLoss, InputError, Rows
from polo.model.sharding import spread, whole
from polo.testing import context
from polo.train.objective import Objective
from polo.train.step import Stepper
from polo_backbones.lightgcn import normalised_graph
from polo_backbones.options import XSimGCLOptions
from polo_backbones.xsimgcl import XSimGCLNet
from tests.contracts.components import make
from tests.polo_backbones.world import SPLITS, made
from tests.processes import together


def tables(name: str, **options: Any) -> Any:
    """A policy with p_4 = (3, -1), q_7 = (2, 5), q_8 = (1, 1) and zeros elsewhere."""
    policy = made(name, dim=2, **options)
    with torch.no_grad():
        for table in (policy.net.user, policy.net.item):
            table.weight.zero_()
        policy.net.user.weight[4] = torch.tensor([3.0, -1.0])
        policy.net.item.weight[7:9] = torch.tensor([[2.0, 5.0], [1.0, 1.0]])
    return policy


@pytest.mark.parametrize("name", ["mf", "lightgcn", "xsimgcl"])
@pytest.mark.parametrize("score", [{}, {"score": "cosine", "tau": 0.1}], ids=["inner", "cosine"])
def test_l2_of_a_batch_by_paper_and_pencil(name: str, score: dict[str, Any]) -> None:
    """Rows (user 4; items 7, 8) and (user 4; item 7, and none drawn).

    Squares: |p_4|^2 = 10 twice, |q_7|^2 = 29 twice, |q_8|^2 = 2 once: 80. Halved, over two rows: 20; times 0.5: 10.
    The gradient of p_4 is 0.5 * 2 * p_4 / 2 = p_4 / 2, that of q_7 q_7 / 2, that of q_8 q_8 / 4.
    """
    policy = tables(name, l2=0.5, **score, **({"contrast": 0.0} if name == "xsimgcl" else {}))
    assert isinstance(policy, ExtraLoss)
    rows = Rows(np.array([0, 1]), np.array([4, 4]), np.full((2, 5), PAD), np.array([7, 7]))
    terms = policy.extra_loss(rows, torch.tensor([[7, 8], [7, PAD]]))
    assert {term: value.item() for term, value in terms.items()} == {"l2": 10.0}
    terms["l2"].backward()
    user, item = policy.net.user.weight, policy.net.item.weight
    torch.testing.assert_close(user.grad, user.detach() / 2, rtol=0, atol=1e-12)
    expected = torch.zeros_like(item)
    expected[7], expected[8] = torch.tensor([1.0, 2.5]), torch.tensor([0.25, 0.25])
    torch.testing.assert_close(item.grad, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mf", "lightgcn"])
def test_without_a_weight_there_is_no_term(name: str) -> None:
    rows = Rows(np.array([0]), np.array([4]), np.full((1, 5), PAD), np.array([7]))
    assert tables(name).extra_loss(rows, torch.tensor([[7]])) == {}


def small(**options: Any) -> XSimGCLNet:
    """User 0 took items 0 and 1, user 1 took item 1; vectors are numbers: users 1, 2, items 4, 8."""
    graph = normalised_graph(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2, 2).double()
    options = {"dim": 1, "layers": 2, "l2": 0.0, "noise": 0.0, **options}
    net = XSimGCLNet(XSimGCLOptions(**options), np.ones(2, np.bool_), 2, graph, torch.Generator()).double()
    with torch.no_grad():
        net.user.weight[:, 0], net.item.weight[:, 0] = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 8.0])
    return net


def test_xsimgcl_averages_what_comes_after_the_first_step() -> None:
    """As in test_graph: E_1 = (4/r + 4, 8/r, 1/r, 1/2 + 2/r) with r = sqrt 2, and E_2 the same step of that."""
    r = math.sqrt(2)
    one = [4 / r + 4, 8 / r, 1 / r, 1 / 2 + 2 / r]
    two = [one[2] / r + one[3] / 2, one[3] / r, one[0] / r, one[0] / 2 + one[1] / r]
    expected = torch.tensor([(a + b) / 2 for a, b in zip(one, two, strict=True)], dtype=torch.float64)
    torch.testing.assert_close(torch.cat(small().propagated())[:, 0], expected)


def test_the_contrast_is_of_each_user_and_target_once_by_paper_and_pencil() -> None:
    """Vectors of one number: every cosine is 1, so that each of n is told from the others with probability 1/n.

    Users 0, 1 and 0 again: log 2. Targets 1, 1, 1: log 1 = 0. A minus sign of user 1 before the first step, with which
    the mean is contrasted (layer 0), makes its cosines -1: user 0 is at 1 against -1, user 1 at -1 against 1. With
    tau = 2 that is log(1 + e^-1) and log(1 + e^1), of which the mean is taken.
    """
    batch = {"user": torch.tensor([[0], [1], [0]]), "users": torch.tensor([0, 1]), "targets": torch.tensor([1])}
    items = torch.tensor([[1, 0], [1, PAD], [1, 0]])
    assert small(contrast=0.5).terms(batch, items)["contrastive"].item() == pytest.approx(0.5 * math.log(2))
    turned = small(contrast=0.5, contrast_layer=0, contrast_tau=2.0)
    with torch.no_grad():
        turned.user.weight[1] = -2.0
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2
    assert turned.terms(batch, items)["contrastive"].item() == pytest.approx(0.5 * expected)


def test_noise_has_its_length_and_the_signs_of_its_vector_and_is_there_in_training_alone() -> None:
    policy = made("xsimgcl", noise=0.3, layers=1)
    plain = list(policy.net.steps())[1]
    assert torch.equal(list(policy.net.train().steps())[1] == plain, plain == 0), "what no step reaches stays 0"
    noise = list(policy.net.steps())[1] - plain
    reached = plain.abs().sum(dim=1) > 0
    length = noise.norm(dim=1)[reached]
    # sign(E) u / |u|: numbers of E that are 0 take none, and none are here
    torch.testing.assert_close(length, torch.full_like(length, 0.3))
    assert torch.equal(noise[reached].sign(), plain[reached].sign())


def test_law_noise_is_a_function_of_seed_stage_and_step() -> None:
    def noise(seed: int, stage: str, step: int) -> Tensor:
        policy = made("xsimgcl", seed=seed)
        policy.net.load_state_dict(start)
        policy.net.train()
        policy.start_stage(stage)
        policy.before_step(step)
        torch.manual_seed(step)  # what the world draws is no part of it
        return torch.cat(policy.net.propagated())

    start = made("xsimgcl").net.state_dict()
    one = noise(0, "fit", 3)
    assert torch.equal(noise(0, "fit", 3), one)
    for other in ((1, "fit", 3), (0, "prefer", 3), (0, "fit", 4)):
        assert not torch.equal(noise(*other), one)


def test_a_contrast_with_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="contrast_layer 3 is beyond the 2 layers"):
        XSimGCLOptions(contrast_layer=3)


TERMS = {"mf": {"l2": 0.5}, "lightgcn": {"l2": 0.5}, "xsimgcl": {"l2": 0.5}}


def stepped(name: str, accelerator: Accelerator, budget: int, *, shard: bool = False) -> dict[str, Any]:
    """The gradient of a training step in float64, and its terms."""
    policy = made(name, **TERMS[name])
    policy.net.train()
    policy.module = spread(policy.module, accelerator, shard=shard)
    policy.start_stage("fit")
    sampler, loss = (make(kind, one, context(splits=SPLITS)) for kind, one in (("sampler", "uniform"), ("loss", "bpr")))
    objective = Objective(loss=loss, sampler=sampler, beta=None, reference=None)
    made_step = Stepper(policy, objective, accelerator, budget, (0, "fit"))
    made_step.backward(SPLITS.train[:9], 2, 0, 0.0)
    gradient = {n.removeprefix("module."): whole(p.grad).clone() for n, p in policy.module.named_parameters()}
    return {"gradient": gradient, "extra": dict(made_step.extra)}


def in_processes(accelerator: Accelerator, folder: Path) -> list[dict[str, Any]]:
    return [stepped(name, accelerator, 10, shard=shard) for name in TERMS for shard in (False, True)]


def test_law_noise_and_terms_are_the_same_in_any_passes_and_processes(tmp_path: Path) -> None:
    alone = Accelerator(cpu=True)
    judges = {name: stepped(name, alone, 10**6) for name in TERMS}
    several = [stepped(name, alone, 10) for name in TERMS for _ in range(2)]
    for found in [several, *together(in_processes, tmp_path, 2)]:
        for at, of in enumerate(found):
            judge = judges[list(TERMS)[at // 2]]
            assert of["extra"] == pytest.approx(judge["extra"], rel=1e-12)
            torch.testing.assert_close(of["gradient"], judge["gradient"], rtol=1e-9, atol=1e-12)
