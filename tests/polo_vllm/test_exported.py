"""The real vLLM serves what ``polo export`` writes: one merged model, and an adapter beside its base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from polo_vllm.worker.engine import prepare_environment
from tests.polo_vllm import world

pytestmark = pytest.mark.vllm

#: greedy tokens after each prompt
TOKENS = 6


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    prepare_environment({"cpu_cache_gib": 1})
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"


def prompts(policy: Any) -> list[list[int]]:
    return [ids.tolist() for ids in policy.texts.prompts(world.rows(8))]


def greedy(folder: Path, asked: list[list[int]], adapter: Path | None = None) -> tuple[list[list[int]], Any]:
    """What vLLM writes token by token, and its log-probabilities of these tokens."""
    import vllm
    from vllm.lora.request import LoRARequest

    llm = vllm.LLM(
        model=str(folder), dtype="float32", max_model_len=256, enforce_eager=True, block_size=32, seed=0,
        enable_lora=adapter is not None, max_lora_rank=8, use_tqdm_on_load=False,
    )  # fmt: skip
    how = vllm.SamplingParams(temperature=0.0, max_tokens=TOKENS, logprobs=0, ignore_eos=True)
    request = None if adapter is None else LoRARequest("exported", 1, str(adapter))
    found = llm.generate(
        [{"prompt_token_ids": ids} for ids in asked], how, lora_request=request, use_tqdm=False
    )  # fmt: skip
    written = [list(one.outputs[0].token_ids) for one in found]
    told = [
        [step[token].logprob for step, token in zip(one.outputs[0].logprobs, ids, strict=True)]
        for one, ids in zip(found, written, strict=True)
    ]
    llm.llm_engine.engine_core.shutdown()
    return written, told


def expected(policy: Any, asked: list[list[int]], written: list[list[int]]) -> list[list[float]]:
    """The trained policy's own log-probabilities of these tokens, and that each is its greedy choice."""
    found = []
    for begin, tokens in zip(asked, written, strict=True):
        with torch.no_grad():
            logprobs = policy.model(torch.tensor([begin + tokens])).logits[0].double().log_softmax(-1)
        steps = logprobs[len(begin) - 1 : -1]
        chosen = steps[torch.arange(len(tokens)), torch.tensor(tokens)]
        assert (steps.max(dim=-1).values - chosen).max() < 1e-4
        found.append(chosen.tolist())
    return found


@pytest.mark.parametrize("merged", [True, False], ids=["merged", "adapter"])
def test_vllm_serves_it(merged: bool, policy: Any, base: Path, tmp_path: Path) -> None:
    policy.pack(tmp_path, merged=merged, base=None)
    asked = prompts(policy)
    if merged:
        assert transformers.AutoConfig.from_pretrained(tmp_path).model_type == "llama"
        written, told = greedy(tmp_path, asked)
    else:
        written, told = greedy(base, asked, tmp_path)
    for mine, theirs in zip(expected(policy, asked, written), told, strict=True):
        assert theirs == pytest.approx(mine, abs=1e-4)
    with policy.model.disable_adapter(), pytest.raises(AssertionError):
        expected(policy, asked, written)  # the base alone would have written something else
