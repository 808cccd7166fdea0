"""LightGCN's propagation against paper and pencil."""

from __future__ import annotations

import math

import numpy as np
import torch

from polo import PAD, Rows
from polo_backbones.lightgcn import LightGCNNet, edges, normalised_graph
from polo_backbones.options import LightGCNOptions
from tests.polo_backbones.world import SPLITS, made


def test_one_step_of_propagation_by_paper_and_pencil() -> None:
    """User 0 took items 0 and 1, user 1 took item 1: degrees of users 2, 1, of items 1, 2.

    One step: u0 = i0 / sqrt(2 * 1) + i1 / sqrt(2 * 2); u1 = i1 / sqrt(1 * 2); i0 = u0 / sqrt(2);
    i1 = u0 / sqrt(2 * 2) + u1 / sqrt(1 * 2). The result is the mean of before and after.
    """
    graph = normalised_graph(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 2, 2)
    options = LightGCNOptions(dim=1, layers=1)
    net = LightGCNNet(options, np.ones(2, np.bool_), 2, graph, torch.Generator())
    with torch.no_grad():
        net.user.weight[:, 0] = torch.tensor([1.0, 2.0])
        net.item.weight[:, 0] = torch.tensor([4.0, 8.0])
    root = math.sqrt(2)
    users, items = net.propagated()
    expected = [(1 + 4 / root + 8 / 2) / 2, (2 + 8 / root) / 2, (4 + 1 / root) / 2, (8 + 1 / 2 + 2 / root) / 2]
    torch.testing.assert_close(torch.cat([users, items])[:, 0], torch.tensor(expected))


def test_no_step_is_matrix_factorisation() -> None:
    graph, tables = made("lightgcn", layers=0), made("mf")
    tables.net.load_state_dict(graph.net.state_dict())
    items = torch.arange(60).expand(len(SPLITS.test), -1)
    assert torch.equal(graph.score(SPLITS.test, items), tables.score(SPLITS.test, items))


def test_the_graph_holds_training_histories_and_targets_and_nothing_else() -> None:
    rows = Rows(np.arange(2), np.array([1, 0]), np.array([[PAD, 3], [4, 5]]), np.array([6, 3]))
    user, item = edges(rows)
    assert sorted(zip(user.tolist(), item.tolist(), strict=True)) == [(0, 3), (0, 4), (0, 5), (1, 3), (1, 6)]


def test_law_the_greatest_eigenvalue_of_the_graph_is_one() -> None:
    graph = normalised_graph(*edges(SPLITS.train), SPLITS.n_users, len(SPLITS.items)).to_dense()
    assert torch.equal(graph, graph.T)
    assert abs(torch.linalg.eigvalsh(graph.double())[-1].item() - 1) < 1e-6
