"""Log-probabilities at picked places: values, gradient, sums."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo_causal_lm.engines.base import title_scores
from polo_causal_lm.engines.head import picked_logps, sum_slots


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 7), st.integers(1, 9))
@settings(max_examples=30)
def test_picked_log_probabilities_and_their_gradient_are_those_of_log_softmax(
    seed: int, rows: int, vocab: int, m: int
) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = (torch.randn(rows, vocab, generator=g, dtype=torch.float64) * 5).requires_grad_()
    state = torch.randint(rows, (m,), generator=g).sort().values
    token = torch.randint(vocab, (m,), generator=g)
    weight = torch.randn(m, generator=g, dtype=torch.float64)
    found, expected = picked_logps(logits, state, token), torch.log_softmax(logits, -1)[state, token]
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    (a,) = torch.autograd.grad((found * weight).sum(), logits)
    (b,) = torch.autograd.grad((expected * weight).sum(), logits)
    torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(1, 3, dtype=torch.bfloat16)
    found = picked_logps(logits, torch.tensor([0]), torch.tensor([2]))
    assert found.dtype == torch.float32
    # log(1/3) = -1.0986; bfloat16 would give -1.1016
    torch.testing.assert_close(found, torch.tensor([-1.0986123]), atol=1e-6, rtol=0)


def test_slots_sum_the_tokens_of_each_title() -> None:
    """Titles [5, 2] and [6, 7, 2] after one prompt: 5 and 6 come from the prompt's state, 2, 7 and 2 from the titles'.

    With log-probabilities 1, 10 (first tokens), 2, 20, 200 (the rest, in this order) the sums are 1+2 and 10+20+200.
    """
    titles = [np.array([5, 2]), np.array([6, 7, 2])]
    scored = title_scores([titles], np.array([3, 4, 5, 6]), (1, 2), torch.device("cpu"))
    assert scored.states.tolist() == [3, 4, 5, 6]
    assert scored.state.tolist() == [0, 0, 1, 2, 3]
    assert scored.token.tolist() == [5, 6, 2, 7, 2]
    assert sum_slots(torch.tensor([1.0, 10, 2, 20, 200]), scored.slots).tolist() == [[3, 230]]
