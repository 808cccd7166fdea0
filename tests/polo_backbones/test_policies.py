"""Laws that hold for every embedding policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polo import Embeds, InputError, Policy, Ragged, Rows, ScoresMany, TopItems
from polo.testing import context, small_splits
from tests.polo_backbones.world import POLICIES, SEQUENTIAL, SPLITS, lists, made

ROWS = SPLITS.test

every = pytest.mark.parametrize("name", POLICIES)
forms = pytest.mark.parametrize("options", [{}, {"score": "cosine", "tau": 0.1}], ids=["inner", "cosine"])


@every
def test_a_policy_keeps_the_contracts(name: str) -> None:
    policy = made(name)
    for contract in (Policy, Embeds, TopItems, ScoresMany):
        assert isinstance(policy, contract)
    assert policy.unit == "similarity"
    assert policy.tokens(lists(2, 3)).tolist() == [[1, 1, 1]] * 2
    assert len(policy.cost(ROWS, 5)) == len(ROWS)


@every
@forms
def test_law_a_score_is_the_product_of_its_vectors_in_every_form(name: str, options: dict[str, Any]) -> None:
    policy = made(name, **options)
    items = lists(len(ROWS), 60)
    product = (policy.user_vectors(ROWS) @ policy.item_vectors().T).gather(1, items)
    for score in (
        policy.score(ROWS, items),
        torch.cat([policy.score(ROWS, part) for part in items.split(3, dim=1)], dim=1),  # narrow lists are gathered
        policy.score_many(ROWS, items, 10),
    ):
        torch.testing.assert_close(score, product, rtol=0, atol=1e-12)
    if options:
        assert float(product.detach().abs().max()) <= 10 + 1e-9, "cosines over tau"


@every
def test_law_scores_follow_a_permutation_of_rows_and_of_items(name: str) -> None:
    policy, items = made(name), lists(len(ROWS), 9)
    rows, columns = np.random.default_rng(0).permutation(len(ROWS)), torch.randperm(9)
    there = policy.score(ROWS, items)[torch.from_numpy(rows)][:, columns]
    torch.testing.assert_close(policy.score(ROWS[rows], items[rows][:, columns]), there, rtol=0, atol=1e-12)


@every
def test_law_keys_tell_rows_and_lists_apart_as_scores_do(name: str) -> None:
    policy, items = made(name), lists(len(ROWS), 4)
    keys = policy.keys(ROWS, items)
    assert keys == policy.keys(ROWS, items)
    assert policy.keys(ROWS, items.flip(1)) != keys
    part = slice(3, 6)
    assert policy.keys(ROWS[part], items[part]) == keys[part], "a key is the row's own"
    other = replace(ROWS[part], history=ROWS.history[:3], user=ROWS.user[:3])
    assert not set(policy.keys(other, items[part])) & set(keys)


@every
def test_law_the_same_seed_gives_the_same_start_and_another_one_another(name: str) -> None:
    torch.manual_seed(1)
    first = made(name).item_vectors()
    torch.manual_seed(2)
    assert torch.equal(made(name).item_vectors(), first)
    assert not torch.equal(made(name, seed=1).item_vectors(), first)


@every
def test_the_best_items_are_those_of_a_ranking_of_all(name: str) -> None:
    policy = made(name)
    scores = policy.score(ROWS, torch.arange(60).expand(len(ROWS), -1)).detach().numpy()
    without = Ragged.of([[int(scores[i].argmax())] if i % 2 else [] for i in range(len(ROWS))])
    top = policy.top_items(ROWS, 7, without=without)
    for i in range(len(ROWS)):
        order = [j for j in np.argsort(-scores[i], kind="stable") if j not in without[np.array([i])].items]
        assert top.items[i].tolist() == order[:7]
    assert bool(top.proven.all())
    short = policy.top_items(ROWS[:1], 62)
    assert short.items[0, 60:].tolist() == [-1, -1]
    assert short.proven[0].sum() == 60
    with pytest.raises(InputError, match="k is 0"):
        policy.top_items(ROWS, 0)


def test_equal_scores_are_ranked_by_number() -> None:
    policy = made("mf")
    with torch.no_grad():
        policy.net.item.weight.zero_()
    assert policy.top_items(ROWS[:1], 4).items.tolist() == [[0, 1, 2, 3]]


@every
def test_what_is_saved_is_loaded_bit_for_bit_and_other_sizes_are_refused(name: str, tmp_path: Path) -> None:
    first, second, items = made(name), made(name, seed=5), lists(len(ROWS), 5)
    first.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.json", "policy.safetensors"]
    second.load(tmp_path)
    assert torch.equal(first.score(ROWS, items), second.score(ROWS, items))
    with pytest.raises(InputError, match=r"another network: 'item\.weight' is"):
        made(name, small_splits(items=61)).load(tmp_path)
    with pytest.raises(InputError, match="no weights of policy"):
        first.load(tmp_path / "elsewhere")


@every
def test_fingerprints_tell_options_and_data_apart(name: str) -> None:
    prints = {
        made(name).fingerprint(),
        made(name, tau=2.0).fingerprint(),
        made(name, small_splits(seed=1)).fingerprint(),
    }
    assert len(prints) == 3
    assert made(name, seed=3).fingerprint() == made(name).fingerprint(), "weights are no part of it"


@every
def test_items_that_are_no_training_target_are_told(name: str) -> None:
    said: list[str] = []
    build, options = POLICIES[name]
    build(options(), replace(context(splits=SPLITS), say=said.append))
    cold = 60 - len(np.unique(SPLITS.train.target))
    assert any(f"{cold} of 60 items are the target of no training row" in line for line in said)


@every
def test_a_policy_without_data_is_refused(name: str) -> None:
    build, options = POLICIES[name]
    with pytest.raises(InputError, match=f"{name} needs data"):
        build(options(), context())


@pytest.mark.parametrize("name", ["mf", "lightgcn", "xsimgcl"])
def test_a_user_without_training_rows_is_scored_by_the_mean_and_told(name: str) -> None:
    said: list[str] = []
    train = SPLITS.train[np.flatnonzero(SPLITS.train.user != 3)]
    splits = replace(SPLITS, train=train)
    build, options = POLICIES[name]
    build(options(), replace(context(splits=splits), say=said.append))
    assert any("1 of 24 test rows are of users without a training row" in line for line in said)
    policy, items = made(name, splits), lists(1, 60)
    row = SPLITS.test[np.flatnonzero(SPLITS.test.user == 3)]
    known = SPLITS.test[np.flatnonzero(SPLITS.test.user != 3)]
    mean = policy.user_vectors(known).mean(dim=0, keepdim=True)
    torch.testing.assert_close(policy.score(row, items), (mean @ policy.item_vectors().T).gather(1, items))
    for number in (-1, 24, 10**6):  # who asks `polo recommend`; beyond the table
        stranger = replace(row, user=np.array([number]))
        assert torch.equal(policy.score(stranger, items), policy.score(row, items))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_sequence_model_reads_the_history_and_nothing_of_the_user(name: str) -> None:
    policy, items = made(name), lists(len(ROWS), 5)
    other = replace(ROWS, user=np.full(len(ROWS), -1))
    assert torch.equal(policy.score(other, items), policy.score(ROWS, items))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(InputError, match="dim 8 is no multiple of heads 3"):
        made("sasrec", heads=3)


def test_mf_has_the_gradient_of_paper_and_pencil() -> None:
    """score = <p_u, q_i> / 2: d score / d p_u = q_i / 2 and d score / d q_i = p_u / 2, and nothing else moves."""
    policy = made("mf", dim=2, tau=2.0)
    with torch.no_grad():
        policy.net.user.weight[4] = torch.tensor([3.0, -1.0])
        policy.net.item.weight[7] = torch.tensor([2.0, 5.0])
    row = Rows(np.array([999]), np.array([4]), np.array([[-1] * 5]), np.array([7]))
    score = policy.score(row, torch.tensor([[7]]))
    assert score.item() == (3 * 2 - 1 * 5) / 2
    score.sum().backward()
    user, item = policy.net.user.weight.grad, policy.net.item.weight.grad
    assert user[4].tolist() == [1.0, 2.5]
    assert item[7].tolist() == [1.5, -0.5]
    assert (int((user != 0).sum()), int((item != 0).sum())) == (2, 2)
