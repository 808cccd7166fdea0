"""Beta schedules: values, state, and what beta-DPO leaves out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Scores
from polo.testing import Case, context
from polo.testing.strategies import score_cases
from tests.contracts.components import make


def beta(name: str, **options: Any) -> Any:
    return make("beta", name, context(), **options)


def batch(*margins: float) -> Scores:
    """One negative a row, log-ratio margins as given."""
    policy = torch.zeros(len(margins), 2, dtype=torch.float64)
    policy[:, 1] = -torch.tensor(margins)
    return Scores.of(policy, ref=torch.zeros_like(policy))


@pytest.mark.parametrize(
    ("name", "progress", "value"),
    [("linear", 0.0, 2.0), ("linear", 0.25, 1.75), ("linear", 1.0, 1.0),
     ("cosine", 0.0, 2.0), ("cosine", 0.5, 1.5), ("cosine", 1.0, 1.0), ("cosine", 0.25, 1.853553)],
)  # fmt: skip
def test_schedules(name: str, progress: float, value: float) -> None:
    """From 2 to 1; cosine at a quarter: 1 + (1 + cos(pi/4)) / 2 = 1.853553."""
    s = batch(0.0)
    assert float(beta(name, start=2.0, end=1.0)(s, s.valid_rejected, progress)) == pytest.approx(value, abs=1e-6)


def test_batch_dynamic_follows_the_mean_margin() -> None:
    """alpha 0.5, momentum 0.5, all kept. Batch 1: margins 1, 3, mean 2 = M, so beta = base = 0.1. Batch 2: mean 6,
    M = 0.5 * 2 + 0.5 * 6 = 4, beta = 0.1 (1 + 0.5 (6 - 4)) = 0.2. Batch 3: mean -20, M = -8, 1 - 6 < 0: the floor."""
    part = beta("batch_dynamic", base=0.1, alpha=0.5, momentum=0.5, share=1.0)
    values = []
    for margins in ((1.0, 3.0), (5.0, 7.0), (-20.0, -20.0)):
        s = batch(*margins)
        values.append(part(s, s.valid_rejected, 0.0)[0, 0].item())
        part.after_step(0)
    assert values == pytest.approx([0.1, 0.2, 1e-3])


def test_batch_dynamic_without_alpha_and_with_all_pairs_is_fixed() -> None:
    s = batch(1.0, 5.0, -3.0)
    assert torch.allclose(
        beta("batch_dynamic", alpha=0.0, share=1.0)(s, s.valid_rejected, 0.0).double(), torch.tensor(0.1).double()
    )


@given(score_cases(), st.sampled_from([0.3, 0.5, 0.8]))
@settings(max_examples=30, deadline=None)
def test_batch_dynamic_takes_out_the_rest_of_the_share_by_beta_zero(case: Case, share: float) -> None:
    out = beta("batch_dynamic", share=share)(case.scores, case.keep, 0.0)
    n = int(case.keep.sum())
    drawn = case.keep & (out > 0)
    assert int(drawn.sum()) == max(1, int(torch.tensor(share * n).floor()))
    assert len(set(out[drawn].tolist())) == 1


def test_batch_dynamic_drops_unusual_pairs_first() -> None:
    """49 margins of 0 and one of 50: mean 1, deviation 7; the outlier's weight is exp(-24.5), so of 200 draws that
    leave out 10 of 50 none keeps it."""
    s = batch(*[0.0] * 49, 50.0)
    part = beta("batch_dynamic", share=0.8, momentum=0.0)
    for _ in range(200):
        assert part(s, s.valid_rejected, 0.0)[49, 0] == 0
        part.after_step(0)


def test_batch_dynamic_draws_anew_at_each_step_and_goes_on_from_its_state() -> None:
    s = batch(*range(20))
    whole = beta("batch_dynamic", share=0.5)
    outs = []
    for _ in range(4):
        outs.append(whole(s, s.valid_rejected, 0.0))
        whole.after_step(0)
    assert not torch.equal(outs[0] > 0, outs[1] > 0)
    half = beta("batch_dynamic", share=0.5)
    for _ in range(2):
        half(s, s.valid_rejected, 0.0)
        half.after_step(0)
    assert half.state_dict()["steps"] == 2
    resumed = beta("batch_dynamic", share=0.5)
    resumed.load_state_dict(half.state_dict())
    assert torch.equal(resumed(s, s.valid_rejected, 0.0), outs[2])


def test_law_a_pair_is_drawn_in_proportion_to_the_gaussian_of_its_distance_from_the_mean() -> None:
    """Margins 0, 0, 3: mean 1, deviation sqrt 2, distances -.707, -.707, 1.414 deviations, so weights exp(-1/4) twice
    and exp(-1). A share of .34 is one pair of three: the third in .3679 / (2 * .7788 + .3679) = .191 of the draws."""
    s, steps = batch(0.0, 0.0, 3.0), 2000
    part = beta("batch_dynamic", share=0.34, momentum=0.0)
    drawn = torch.zeros(3)
    for _ in range(steps):
        drawn += part(s, s.valid_rejected, 0.0)[:, 0] > 0
        part.after_step(0)
    assert drawn.sum() == steps
    expected = torch.tensor([0.7788, 0.7788, 0.3679]) / 1.9255 * steps
    assert float(((drawn - expected) ** 2 / expected).sum()) < 2 + 5 * 2  # mean and 5 deviations of chi square, 2 free
