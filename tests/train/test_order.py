"""The order of rows: each epoch a permutation of its own, any step alike whenever it is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polo import IntArray, Rows
from polo.train.order import Order
from tests.toy_policy import ToyPolicy, toy_rows


class Paired(ToyPolicy):
    """Rows 2i and 2i + 1 cost less together."""

    def shared(self, rows: Rows) -> IntArray:
        return rows.id // 2


@given(st.integers(1, 20), st.integers(1, 25), st.permutations(range(9)))
def test_law_epochs_are_permutations_and_a_step_is_the_same_in_whatever_order_steps_are_asked_for(
    count: int, size: int, asked: list[int]
) -> None:
    rows = toy_rows(count)
    policy = ToyPolicy()
    order = Order(rows, size, policy, (3, "prefer"))
    steps = range(3 * order.steps)
    found = [order.batch(step) for step in steps]
    for epoch in range(3):
        ids = np.concatenate([batch.id for batch, number in found if number == epoch])
        assert sorted(ids.tolist()) == sorted(rows.id.tolist())
    for step in [one for one in asked if one < len(steps)]:
        alone = Order(rows, size, policy, (3, "prefer")).batch(step)
        assert order.batch(step)[0].id.tolist() == alone[0].id.tolist() == found[step][0].id.tolist()


def test_epochs_stages_and_seeds_differ_and_rows_that_share_a_forward_stay_together() -> None:
    rows = toy_rows(24)
    keys = ((3, "prefer"), (4, "prefer"), (3, "sft"))
    seen = {tuple(Order(rows, 24, ToyPolicy(), key).batch(step)[0].id) for key in keys for step in (0, 1)}
    assert len(seen) == 6
    ids = Order(rows, 24, Paired(), (3, "prefer")).batch(0)[0].id
    assert (ids[1::2] == ids[::2] + 1).all()
    assert (ids[::2] % 2 == 0).all()
