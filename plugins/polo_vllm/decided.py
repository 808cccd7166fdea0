"""What follows from the options, the machine and the policy: processes, types, strategy, the engine's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from polo import InputError
from polo_vllm import check, work
from polo_vllm.model import Model, TextPolicy
from polo_vllm.options import VLLMOptions

_WHERE = "evaluate.scorer"


@dataclass(frozen=True)
class Decided:
    """The options, with an answer in place of each ``auto``.

    Args:
        options: as the recipe gives them.
        device: polo's own, such as ``cuda:0``.
    """

    options: VLLMOptions
    device: str

    @property
    def in_child(self) -> bool:
        """Whether vLLM runs in other processes than this one."""
        from accelerate import PartialState

        if self.options.process != "auto":
            return self.options.process != "here"
        alone = PartialState().num_processes == 1 and self.options.engines == 1
        return bool(self.options.python) or self.device.startswith("cuda") or not alone

    @property
    def lora(self) -> Literal["auto", "request", "merge"]:
        """How adapters are applied when candidates are scored."""
        # On a CPU vLLM returns no prompt_logprobs with adapters; where polo has a GPU, its vLLM has one too.
        merge = self.options.strategy == "prompt_logprobs" and not self.device.startswith("cuda")
        return "merge" if merge and self.options.lora == "auto" else self.options.lora

    def dtype(self, policy: TextPolicy) -> str:
        """Type of vLLM's weights."""
        if self.options.dtype != "auto":
            return self.options.dtype
        own = str(policy.dtype).removeprefix("torch.")
        return own if own in check.TOLERANCE else "float32"

    def strategy(self, policy: TextPolicy, plan: work.Work) -> str:
        """The strategy to ask for; ``auto`` leaves it to the probe.

        Raises:
            InputError: a row is longer than the model may read.
        """
        limit = self.options.max_model_len or work.position_limit(policy.base_path)
        if limit is not None and plan.longest > limit:
            raise InputError(
                f"the longest prompt with its longest title has {plan.longest} tokens, the limit is {limit}",
                where=_WHERE,
                fix="raise max_model_len, or lower policy.max_tokens",
            )
        if limit is not None and plan.longest == limit:
            # A request for prompt_logprobs holds the whole title and still has to generate one token.
            if self.options.strategy == "prompt_logprobs":
                raise InputError(
                    f"prompt_logprobs needs a token more than the longest row's {plan.longest}, the limit is {limit}",
                    where=_WHERE,
                    fix="use strategy: trie",
                )
            return "trie"
        return self.options.strategy

    def settings(self, model: Model, policy: TextPolicy, longest: int, *, reads_text: bool = False) -> dict[str, Any]:
        """``engine`` and ``adapter`` of ``job.json``.

        Args:
            model: what vLLM loads.
            policy: whose model it is.
            longest: tokens of the longest request and its answer.
            reads_text: the engine needs the tokenizer (for grammars); scoring is done in token ids alone.
        """
        options = self.options
        limit = work.position_limit(policy.base_path)
        engine = {
            "model": str(model.folder),
            "tokenizer": str(policy.base_path) if reads_text else None,
            "rank": model.rank,
            "dtype": self.dtype(policy),
            "max_model_len": options.max_model_len or (longest if limit is None else min(longest, limit)),
            "block_size": options.block_size,
            "gpu_memory_utilization": options.gpu_memory_utilization,
            "batched_tokens": options.batched_tokens,
            "eager": options.eager,
            "tensor_parallel": options.tensor_parallel,
            "cpu_cache_gib": options.cpu_cache_gib,
        }
        return {"engine": engine, "adapter": None if model.adapter is None else str(model.adapter)}
