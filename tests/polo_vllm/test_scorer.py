"""What can be known without vLLM: refusals, the parity check, what is handed to vLLM, and the order of the work."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from polo import InputError, PoloError
from polo_vllm.check import compare, first_users, insist
from polo_vllm.cluster import require_ray
from polo_vllm.model import Adapter, prepare
from polo_vllm.options import VLLMOptions
from polo_vllm.own import own_scores, text_policy
from polo_vllm.scorer import VLLMScorer
from polo_vllm.work import Work, key, position_limit
from polo_vllm.worker.files import JobFolder
from tests.polo_vllm import world


def test_declarations_and_options_load_neither_torch_nor_vllm() -> None:
    code = (
        "import sys, polo_vllm, polo_vllm.options; polo_vllm.polo_scorers();"
        "sys.exit(bool({'torch', 'numpy', 'vllm', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        VLLMScorer(VLLMOptions(), world.context(tmp_path))
    assert "pip install 'polo-rec[vllm]'" in caught.value.fix


def test_an_interpreter_without_vllm_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks vllm and pyarrow"):
        VLLMScorer(VLLMOptions(python=getattr(sys, "_base_executable", sys.executable)), world.context(tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_without_ray_the_error_says_how_to_get_it() -> None:
    with pytest.raises(InputError) as caught:
        require_ray()
    assert "polo-rec[vllm,ray]" in caught.value.fix


def test_a_policy_without_text_is_refused() -> None:
    class Similar:
        unit = "similarity"

    with pytest.raises(InputError, match="vLLM scores text"):
        text_policy(Similar())  # type: ignore[arg-type]


def test_the_real_policy_is_a_text_policy(policy: Any) -> None:
    assert text_policy(policy) is policy


def test_work_holds_the_ids_of_the_policy_and_the_checked_rows_come_first(policy: Any, tmp_path: Path) -> None:
    rows = world.rows(9)
    assert rows.candidates is not None
    plan = Work.of(policy, rows, rows.candidates, np.array([2, 5]), part_rows=3)
    job = JobFolder(tmp_path)
    plan.write(job, {"task": "score"})
    found = [row for part in range(plan.parts) for row in job.work(part)]
    assert [row.row for row in found] == [2, 5, 0, 1, 3, 4, 6, 7, 8]
    assert [len(job.work(part)) for part in range(plan.parts)] == [2, 3, 3, 1]
    encoded = policy.texts.encode(rows, rows.candidates)
    for row in found:
        assert row.prompt == encoded.prompts[row.row].tolist()
        assert row.titles == [title.tolist() for title in encoded.titles[row.row]]
        assert plan.lengths[row.row].tolist() == [len(title) for title in row.titles]
    assert plan.longest == max(len(p) for p in encoded.prompts) + max(len(t) for ts in encoded.titles for t in ts)


def test_the_key_of_a_job_changes_with_everything_that_scores_depend_on() -> None:
    rows = world.rows(3)
    assert rows.candidates is not None
    options, lists = VLLMOptions(), rows.candidates
    keys = [
        key("policy", "adapters", rows, lists, options, "score"),
        key("other", "adapters", rows, lists, options, "score"),
        key("policy", "other", rows, lists, options, "score"),
        key("policy", "adapters", world.rows(3, seed=1), lists, options, "score"),
        key("policy", "adapters", rows, lists[:, ::-1], options, "score"),
        key("policy", "adapters", rows, lists, VLLMOptions(strategy="trie"), "score"),
        key("policy", "adapters", rows, lists, options, "generate"),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key("policy", "adapters", world.rows(3), lists.copy(), VLLMOptions(), "score")


def test_adapters_go_beside_the_base_or_into_a_merged_model(policy: Any, base: Path, tmp_path: Path) -> None:
    for name in ("request", "merge"):
        (tmp_path / name).mkdir()
    beside = prepare(policy, "auto", tmp_path / "request")
    assert (beside.folder, beside.rank) == (base, 4)
    assert beside.adapter is not None
    assert (beside.adapter / "adapter_model.safetensors").is_file()
    merged = prepare(policy, "merge", tmp_path / "merge")
    assert (merged.adapter, merged.rank, merged.digest) == (None, None, beside.digest)
    weights, before = (load_file(folder / "model.safetensors") for folder in (merged.folder, base))
    assert set(weights) == set(before)
    assert any(not (weights[name] == before[name]).all() for name in weights)


def test_adapters_on_the_output_layer_are_merged_or_refused_never_dropped(
    base: Path, place: Path, tmp_path: Path
) -> None:
    made = world.policy(base, place, targets=("q_proj", "lm_head"))
    for name in ("request", "auto"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="lm_head"):
        prepare(made, "request", tmp_path / "request")
    found = prepare(made, "auto", tmp_path / "auto")
    assert found.adapter is None
    assert "lm_head" in found.note


def test_a_model_whose_weights_were_all_trained_is_loaded_as_it_is(base: Path, place: Path, tmp_path: Path) -> None:
    made = world.policy(base, place, lora="none")
    for name in ("request", "auto"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="all weights were trained"):
        prepare(made, "request", tmp_path / "request")
    found = prepare(made, "auto", tmp_path / "auto")
    assert (found.adapter, found.rank) == (None, None)
    weights = load_file(found.folder / "model.safetensors")
    assert all((weights[name] == value).all() for name, value in made.model.state_dict().items())


def test_adapters_on_a_quantised_base_are_merged_into_what_they_were_trained_on(
    base: Path, place: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")
    made = world.policy(base, place, quantise="nf4")
    for name in ("request", "auto"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="quantised base have to be merged"):
        prepare(made, "request", tmp_path / "request")
    found = prepare(made, "auto", tmp_path / "auto")
    assert found.adapter is None
    assert "quantised" in found.note


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_adapters_on_an_output_layer_that_is_the_input_embedding_are_refused(place: Path, tmp_path: Path) -> None:
    made = world.policy(world.base(place / "tied", tied=True), place, targets=("q_proj", "lm_head"))
    with pytest.raises(InputError, match="shares its output layer"):
        prepare(made, "auto", tmp_path)


@pytest.mark.parametrize(
    ("rank", "outer", "odd", "reason"),
    [(8, (), (), ""), (8, ("lm_head",), (), "lm_head"), (8, (), ("use_dora",), "use_dora"), (600, (), (), "600")],
)
def test_why_vllm_cannot_apply_adapters_itself(
    rank: int, outer: tuple[str, ...], odd: tuple[str, ...], reason: str
) -> None:
    why = Adapter(rank, outer, odd).on_the_fly
    assert reason in why
    assert bool(why) == bool(reason)


def test_the_limit_of_positions_is_the_models_own(base: Path) -> None:
    assert position_limit(base) == 512


def test_own_scores_are_what_the_policy_gives_and_leave_it_in_its_mode(policy: Any) -> None:
    import torch

    rows = world.rows(5)
    assert rows.candidates is not None
    policy.module.train()
    found = own_scores(policy, rows, rows.candidates)
    assert policy.module.training
    policy.module.eval()
    with torch.no_grad():
        expected = policy.score(rows, torch.from_numpy(rows.candidates)).numpy()
    assert np.abs(found - expected).max() < 1e-4


def test_equal_scores_agree_wholly_and_shifted_ones_do_not_pass() -> None:
    """A shift of 0.002 nats is more than the 1e-3 that float32 explains, and leaves ranks alone."""
    scores = np.random.default_rng(0).normal(size=(32, 20))
    same = compare(scores, scores.copy(), tie=2e-4)
    assert (same.max_difference, same.same_best, same.rank_correlation) == (0.0, 1.0, 1.0)
    insist(same, 1e-3, 0.97)
    with pytest.raises(PoloError, match="not the policy's"):
        insist(compare(scores, scores + 0.002, tie=2e-4), 1e-3, 0.97)


def test_too_many_other_best_candidates_fail_within_the_tolerance_too() -> None:
    """Two candidates 0.1 apart change places in 2 of 32 rows: 93.75 % agree, 97 % are asked for."""
    ours = np.tile([0.0, -0.1, -5.0], (32, 1))
    theirs = ours.copy()
    theirs[:2, 0] -= 0.14
    found = compare(ours, theirs, tie=0.03)
    assert (found.same_best, found.agreement) == (30 / 32, 30 / 32)
    with pytest.raises(PoloError, match=r"not the policy's.*97%"):
        insist(found, 0.15, 0.97)
    insist(compare(ours, theirs, tie=0.11), 0.15, 0.97)


def test_scores_that_are_not_finite_never_pass() -> None:
    ours = np.zeros((1, 2))
    with pytest.raises(PoloError, match="not the policy's"):
        insist(compare(ours, np.array([[0.0, np.nan]]), tie=1.0), 1e9, 0.0)


def test_first_users_takes_one_row_of_each() -> None:
    assert first_users(np.array([5, 5, 1, 9, 1, 2]), 3).tolist() == [0, 2, 3]
    assert first_users(np.array([5, 5]), 32).tolist() == [0]
