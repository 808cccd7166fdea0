"""Terms that embedding policies add to the loss of a step, by paper and pencil."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from polo import PAD, ExtraLoss, Rows
from tests.polo_backbones.world import made


def tables(name: str, **options: Any) -> Any:
    """A policy with p_4 = (3, -1), q_7 = (2, 5), q_8 = (1, 1) and zeros elsewhere."""
    policy = made(name, dim=2, **options)
    with torch.no_grad():
        for table in (policy.net.user, policy.net.item):
            table.weight.zero_()
        policy.net.user.weight[4] = torch.tensor([3.0, -1.0])
        policy.net.item.weight[7:9] = torch.tensor([[2.0, 5.0], [1.0, 1.0]])
    return policy


@pytest.mark.parametrize("name", ["mf", "lightgcn"])
@pytest.mark.parametrize("score", [{}, {"score": "cosine", "tau": 0.1}], ids=["inner", "cosine"])
def test_l2_of_a_batch_by_paper_and_pencil(name: str, score: dict[str, Any]) -> None:
    """Rows (user 4; items 7, 8) and (user 4; item 7, and none drawn).

    Squares: |p_4|^2 = 10 twice, |q_7|^2 = 29 twice, |q_8|^2 = 2 once: 80. Halved, over two rows: 20; times 0.5: 10.
    The gradient of p_4 is 0.5 * 2 * p_4 / 2 = p_4 / 2, that of q_7 q_7 / 2, that of q_8 q_8 / 4.
    """
    policy = tables(name, l2=0.5, **score)
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
