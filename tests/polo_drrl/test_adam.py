"""A head's own parameters go on where they were saved, and stay where they may be."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from polo_drrl.adam import Adam

LR = 0.05
GRADIENTS = st.lists(st.tuples(*[st.floats(-10, 10).map(lambda g: round(g, 3))] * 2), min_size=1, max_size=8)


@given(GRADIENTS, GRADIENTS)
def test_law_a_saved_state_goes_on_as_if_nothing_had_happened(
    before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> None:
    def walk(adam: Adam, gradients: list[tuple[float, float]]) -> Adam:
        for gradient in gradients:
            adam.propose(torch.tensor(gradient))
            adam.commit()
        return adam

    first = walk(Adam(torch.zeros(2), LR), before)
    second = Adam(torch.ones(2), LR)
    second.propose(torch.ones(2))  # a proposal of before is not followed after a load
    second.load_state_dict(first.state_dict())
    second.commit()
    assert torch.equal(walk(first, after).values, walk(second, after).values)


def test_a_learning_rate_for_each_value_and_a_place_where_values_may_be() -> None:
    own = Adam(torch.zeros(3), torch.tensor([0.1, 0.2, 0.4]), lambda values: values.clamp(max=0.3))
    own.propose(torch.tensor([1.0, -1.0, -1.0]))
    own.commit()
    torch.testing.assert_close(own.values, torch.tensor([-0.1, 0.2, 0.3], dtype=torch.float64))
