"""Compiled layers give the scores of plain ones, for passes of any length, without being compiled again.

What is compiled here is apart with the slow tests, which run without checks of shapes: those cannot be traced.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.policy import CausalLM
from tests.polo_causal_lm.world import context, random_encoded, save_base, toy_splits, tree_scorer

# torch warns of what its own compiler does
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What others compiled in this process counts for nothing here, nor the reverse."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gemma3_window"])
def test_passes_of_any_length_run_what_was_compiled_for_the_first(family: str) -> None:
    """Traced and run without a code generator, which changes the code and not what is compiled when."""
    scorer = tree_scorer(family, torch.float64)
    compiled = Compiled(causal_lm(scorer.model), backend="eager")
    graphs = []
    for seed, (rows, n, budget) in enumerate([(2, 30, 1000), (1, 41, 70), (3, 17, 90), (2, 8, 1000)]):
        encoded = random_encoded(40 + seed, rows=rows, n=n)
        expected = tree_scores(scorer, encoded, budget, CPU)
        with compiled.layers():
            found = tree_scores(scorer, encoded, budget, CPU)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] > 0
    assert graphs == graphs[:1] * 4


def test_layers_have_their_own_forward_again_after_an_error() -> None:
    scorer = tree_scorer("llama", torch.float32)
    layers = causal_lm(scorer.model).get_decoder().layers
    before = [vars(layer).get("forward") for layer in layers]
    inside = []

    def fail() -> None:
        with Compiled(causal_lm(scorer.model), backend="eager").layers():
            inside.extend(vars(layer)["forward"] for layer in layers)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside != before
    assert [vars(layer).get("forward") for layer in layers] == before


def test_generation_under_compiled_layers_is_the_models_own() -> None:
    scorer, ids = tree_scorer("llama", torch.float32), torch.arange(3, 20)[None]
    with torch.no_grad():
        expected = causal_lm(scorer.model)(ids).logits
        with Compiled(causal_lm(scorer.model), backend="eager").layers():
            assert torch.equal(causal_lm(scorer.model)(ids).logits, expected)
    assert counters["stats"]["unique_graphs"] == 0


def test_a_compiled_policy_that_cannot_be_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    options = CausalLMOptions(base=str(save_base(tmp_path / "gemma2", "gemma2")), compile=True)
    made = CausalLM(options, context(tmp_path, said=said))
    assert any("layers are not compiled" in line and "eager" in line for line in said)
    assert made.few == 64


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_compiled_policy_gives_the_scores_of_a_plain_one(tmp_path: Path) -> None:
    """With the real code generator, which needs a C++ compiler."""
    base, rows = str(save_base(tmp_path / "llama")), toy_splits().train
    said: list[str] = []
    plain = CausalLM(CausalLMOptions(base=base), context(tmp_path))
    made = CausalLM(CausalLMOptions(base=base, compile=True), context(tmp_path, said=said))
    assert said == []
    assert (made.few, made.tree) == (0, True)
    for policy in (plain, made):
        policy.module.eval()
    for n in (1, 10, 100):
        items = (torch.arange(n) + torch.arange(8)[:, None]) % 10
        expected = plain.score_many(rows, items, 300)
        torch.testing.assert_close(made.score_many(rows, items, 300), expected, atol=5e-5, rtol=0)
    best, expected_best = made.top_items(rows, 5), plain.top_items(rows, 5)
    assert best.items.tolist() == expected_best.items.tolist()
    torch.testing.assert_close(*(torch.from_numpy(x.scores) for x in (best, expected_best)), atol=5e-5, rtol=0)
