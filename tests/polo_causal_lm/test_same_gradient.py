"""The real policy in the engine's step: however a batch is laid out, ordered or split, the gradient is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Rows, Scores
from polo.train.objective import Objective
from polo.train.step import Stepper
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.policy import CausalLM
from tests.polo_causal_lm.world import context, keep_float64, save_base, toy_rows, toy_splits
from tests.toy_objective import Centred, FirstK, Pairs

ENGINES = ("naive", "packed", "split")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CausalLM]:
    folder = tmp_path_factory.mktemp("same")
    base = save_base(folder / "llama", dtype=torch.float64)
    return {engine: policy(base, folder, engine) for engine in ENGINES}


def policy(base: Path, folder: Path, engine: Any) -> CausalLM:
    """In float64 throughout, adapters random."""
    options = CausalLMOptions(base=str(base), engine=engine, dtype="float64", lora=LoraOptions(dropout=0.0))
    made = CausalLM(options, context(folder, toy_splits()))
    keep_float64(made.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.state_dict().values():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.1)
    return made


class InCatalogue(FirstK):
    """The items that follow the target, of the ten there are; every third row gets none."""

    def draw(self, rows: Rows, rng: Any, peek: Any) -> Any:
        drawn = super().draw(rows, rng, peek)
        return type(drawn)(drawn.items % 10, drawn.valid)

    def keep(self, scores: Scores, rng: Any, progress: float) -> torch.Tensor:
        return scores.valid_rejected


def gradient(made: CausalLM, loss: Any, rows: Rows, budget: int) -> torch.Tensor:
    objective = Objective(loss=loss, sampler=InCatalogue(), beta=None, reference=None)
    Stepper(made, objective, Accelerator(cpu=True), budget, (0, "test")).backward(rows, 0, 0, 0.0)
    flat = torch.cat([p.grad.flatten() for p in made.module.parameters() if p.grad is not None])
    made.module.zero_grad()
    return flat


@pytest.mark.parametrize("loss", [Pairs(), Centred()], ids=["row by row", "whole batch"])
@given(order=st.permutations(range(7)), budget=st.integers(60, 700), engine=st.sampled_from(ENGINES))
@settings(max_examples=5)
def test_order_of_rows_passes_and_engine_do_not_change_the_gradient(
    policies: dict[str, CausalLM], loss: Any, order: list[int], budget: int, engine: str
) -> None:
    rows = toy_rows(7, first=300)  # ids that no split has
    expected = gradient(policies["naive"], loss, rows, 10**6)
    found = gradient(policies[engine], loss, rows[np.array(order)], budget)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-9)
    assert float((found - expected).norm() / expected.norm()) < 1e-12
