"""What the two towers promise besides the contract."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from polo import PAD, Embeds
from polo.testing import context, small_splits

from polo_plugin_two_tower.options import TwoTowerOptions
from polo_plugin_two_tower.policy import TwoTower


def test_a_score_is_a_cosine_over_tau():
    splits = small_splits(users=5, items=20)
    policy = TwoTower(TwoTowerOptions(dim=4, tau=0.5), context(splits=splits))
    assert isinstance(policy, Embeds)
    users, items = policy.vectors(splits.test)
    assert torch.allclose(users.norm(dim=-1), torch.full((5,), 2.0))
    assert torch.allclose(items.norm(dim=-1), torch.ones(20))
    everything = torch.arange(20).expand(5, -1)
    assert policy.score(splits.test, everything).abs().max() <= 2.0 + 1e-5


def test_the_order_of_a_history_does_not_matter_and_padding_counts_for_nothing():
    splits = small_splits(users=1, items=20)
    policy = TwoTower(TwoTowerOptions(dim=4), context(splits=splits))
    rows = splits.test[np.zeros(3, np.int64)]
    shown = replace(rows, history=np.array([[PAD, PAD, 3, 4], [PAD, PAD, 4, 3], [3, 4, 3, 4]]))
    first, *others = policy.user_vectors(shown)
    assert all(torch.allclose(first, other, atol=1e-6) for other in others)


def test_an_item_nobody_took_is_scored_by_its_title():
    splits = small_splits(users=2, items=20)
    titles = [*splits.items.titles[:-1], splits.items.titles[0]]
    policy = TwoTower(TwoTowerOptions(), context(splits=replace(splits, items=replace(splits.items, titles=titles))))
    items = policy.item_vectors()
    assert items[0].tolist() == pytest.approx(items[19].tolist())
