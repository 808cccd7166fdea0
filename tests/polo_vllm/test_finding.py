"""The search over another engine, made of a table here; the real one is asked in ``test_real.py``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo import InputError, PoloError, Ragged
from polo_vllm.asked import asking, child
from polo_vllm.decided import Decided
from polo_vllm.finding import find_best
from polo_vllm.model import Searches
from polo_vllm.options import VLLMOptions
from polo_vllm.worker.answer import answers, serve
from polo_vllm.worker.files import Row
from tests.polo_vllm import world


@pytest.fixture
def engine() -> Any:
    return world.TableEngine(vocab=world.VOCAB)


def ranked(policy: Any, engine: Any, rows: Any, without: list[list[int]]) -> list[list[tuple[int, float]]]:
    """Items and scores, best first: every title scored by the engine."""
    titles, found = [title.tolist() for title in policy.texts.titles], []
    for i, prompt in enumerate(policy.texts.prompts(rows)):
        scores = engine.exact(Row(i, prompt.tolist(), titles))
        left = [item for item in range(len(titles)) if item not in without[i]]
        found.append(sorted(((item, float(scores[item])) for item in left), key=lambda one: (-one[1], one[0])))
    return found


def test_the_best_over_another_engine_are_those_of_scoring_all_with_it(policy: Any, engine: Any) -> None:
    rows, out = world.rows(5), [[1], [], [0, 4, 7], [], list(range(10))]
    assert isinstance(policy, Searches)
    top = policy.top_items_asking(asking(engine), rows, 4, without=Ragged.of(out))
    assert top.proven.all()
    for row, expected in enumerate(ranked(policy, engine, rows, out)):
        there = top.items[row] >= 0
        assert top.items[row, there].tolist() == [item for item, _ in expected[:4]]
        np.testing.assert_allclose(top.scores[row, there], [score for _, score in expected[:4]], atol=1e-9)
        assert there.sum() == min(4, len(expected))


def test_stopped_early_it_proves_a_beginning(policy: Any, engine: Any) -> None:
    rows, whole = world.rows(3), policy.top_items_asking(asking(engine), world.rows(3), 6)
    sure = []
    for nodes in range(0, 40, 4):
        top = policy.top_items_asking(asking(engine), rows, 6, nodes=nodes)
        assert (top.items[top.proven] == whole.items[top.proven]).all()
        sure.append(int(top.proven.sum()))
    assert (sure[0], sure[-1]) == (0, 18)


def test_what_follows_is_answered_in_order_however_many_are_asked_for(engine: Any) -> None:
    questions = [([5, 6], [9, 0, 3]), ([7], list(range(40)))]
    found = answers(engine, questions, widest=3)
    assert found == [[float(engine.logprobs(text)[token]) for token in after] for text, after in questions]


def test_a_served_engine_answers_line_by_line(engine: Any) -> None:
    lines, told = [json.dumps([[[5], [2, 3]]]), json.dumps([[[5, 3], [2]], [[6], [4]]])], list[dict[str, Any]]()
    serve({"engine": {}, "adapter": None}, lines, told.append, start=lambda settings: engine)
    assert told[0] == {"ready": "table"}
    assert [len(one["answers"]) for one in told[1:]] == [1, 2]
    assert math.isclose(told[1]["answers"][0][1], float(engine.logprobs([5])[3]))


def test_a_child_that_cannot_start_is_one_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    """No such model: with vLLM the engine refuses to load it, without vLLM the import fails; both are a crash."""
    settings = {"engine": {"model": str(tmp_path / "none"), "cpu_cache_gib": 1}, "adapter": None}
    with pytest.raises(PoloError) as caught, child(tmp_path, settings, None):
        pytest.fail("nothing can be asked")
    assert "the vLLM worker ended with exit code 1" in str(caught.value)
    assert (tmp_path / "worker.log").read_text().splitlines()[-1].strip() in str(caught.value)


def test_scores_that_are_not_the_policys_are_refused(policy: Any, engine: Any, tmp_path: Path) -> None:
    """The table knows nothing of the policy's weights."""
    decided = Decided(VLLMOptions(process="here"), "cpu")
    with pytest.raises(PoloError, match="differ from the policy's by"):
        find_best(policy, world.rows(2), 3, None, None, decided=decided, root=tmp_path, kept=lambda settings: engine)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"process": "ray"}, "Ray's actors are not for"), ({"max_model_len": 16}, "the limit is 16")],
)
def test_what_cannot_be_searched_is_refused(
    policy: Any, engine: Any, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    decided = Decided(VLLMOptions(**options), "cpu")
    with pytest.raises(InputError, match=message):
        find_best(policy, world.rows(2), 3, None, None, decided=decided, root=tmp_path, kept=lambda settings: engine)
