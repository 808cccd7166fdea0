"""One vLLM engine, reduced to what the strategies ask of it. The only module that imports vLLM.

Prompts are token ids; only an engine that follows grammars has a tokenizer.
"""

from __future__ import annotations

import contextlib
import gc
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

#: ranks that vLLM makes room for (``MaxLoRARanks`` in its config/lora.py, 0.32.0)
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def prepare_environment(settings: Mapping[str, Any]) -> None:
    """Switches that vLLM reads from the environment when it is imported; what the user has set stays."""
    switches = {
        # The engine in this very process: nothing is left behind when it is killed, and there is no start of a second.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(settings["cpu_cache_gib"]),
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in switches.items():
        os.environ.setdefault(name, value)


class Engine:
    """A loaded model.

    Args:
        settings: ``engine`` of ``job.json``: model (folder), tokenizer (folder, or None), rank (of adapters, or None),
            dtype, max_model_len, block_size, gpu_memory_utilization, batched_tokens, eager, tensor_parallel,
            cpu_cache_gib.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        prepare_environment(settings)
        with warnings.catch_warnings():
            # Notes of libraries to their own developers.
            warnings.simplefilter("ignore")
            import vllm
            from vllm.platforms import current_platform

        self.settings = dict(settings)
        self.version: str = vllm.__version__
        self.on_cpu = bool(current_platform.is_cpu())
        self._adapters: dict[str, Any] = {}
        self._adapter: Any = None
        self._llm = self._load()

    def _load(self) -> Any:
        from vllm import LLM

        given = self.settings
        chosen: dict[str, Any] = {
            "model": given["model"],
            "tokenizer": given["tokenizer"],
            "skip_tokenizer_init": given["tokenizer"] is None,
            # A model's own generation defaults must not touch what is asked.
            "generation_config": "vllm",
            "logprobs_mode": "raw_logprobs",
            "dtype": given["dtype"],
            "max_model_len": given["max_model_len"],
            "gpu_memory_utilization": given["gpu_memory_utilization"],
            "tensor_parallel_size": given["tensor_parallel"],
            "enforce_eager": bool(given["eager"] or self.on_cpu),
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "seed": 0,
        }
        block = given["block_size"] or (32 if self.on_cpu else None)
        if block is not None:
            chosen["block_size"] = block
        if given["batched_tokens"] is not None:
            chosen["max_num_batched_tokens"] = given["batched_tokens"]
        if given["rank"] is not None:
            room = next((rank for rank in RANKS if rank >= given["rank"]), given["rank"])
            chosen |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": room}
        return LLM(**chosen)

    def serves(self, settings: Mapping[str, Any]) -> bool:
        """Whether this engine does what one made of ``settings`` would."""
        mine, theirs = dict(self.settings), dict(settings)
        longest = mine.pop("max_model_len"), theirs.pop("max_model_len")
        return mine == theirs and longest[0] >= longest[1]

    def use_adapter(self, folder: str | None) -> None:
        """Applies the adapters of a folder from now on; none for ``None``."""
        if folder is None:
            self._adapter = None
            return
        from vllm.lora.request import LoRARequest

        if folder not in self._adapters:
            # The name is part of the key of cached blocks: each folder has one of its own.
            self._adapters[folder] = LoRARequest(f"adapter-{len(self._adapters) + 1}", len(self._adapters) + 1, folder)
        self._adapter = self._adapters[folder]

    @property
    def has_adapter(self) -> bool:
        """Whether adapters are applied on the fly."""
        return self._adapter is not None

    def next_logprobs(
        self, prompts: Sequence[Sequence[int]], children: Sequence[Sequence[int]]
    ) -> list[dict[int, float]]:
        """Log-probabilities in nats of each prompt's ``children`` as its next token."""
        from vllm import SamplingParams

        params = [
            SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=list(ids), detokenize=False)
            for ids in children
        ]
        found = []
        for out in self._generate(prompts, params):
            (entry,) = out.outputs[0].logprobs
            found.append({token: float(value.logprob) for token, value in entry.items()})
        return found

    def prompt_logprobs(
        self, prompts: Sequence[Sequence[int]], *, use_cache: bool
    ) -> list[tuple[int | None, list[dict[int, float] | None]]]:
        """For each prompt how many of its tokens came from the cache, and an entry for each of its tokens."""
        from vllm import SamplingParams

        params = SamplingParams(
            max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=not use_cache
        )
        return [
            (
                out.num_cached_tokens,
                [None if e is None else {t: float(v.logprob) for t, v in e.items()} for e in out.prompt_logprobs],
            )
            for out in self._generate(prompts, [params] * len(prompts))
        ]

    def warm(self, prompts: Sequence[Sequence[int]]) -> None:
        """Puts prompts into the prefix cache."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False)
        self._generate(prompts, [params] * len(prompts))

    def greedy(self, prompts: Sequence[Sequence[int]], most: int, end: int) -> list[list[int]]:
        """Greedy completions of at most ``most`` tokens, up to the end token and without it."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=most, temperature=0.0, stop_token_ids=[end], detokenize=False)
        outs = self._generate(prompts, [params] * len(prompts))
        return [[token for token in out.outputs[0].token_ids if token != end] for out in outs]

    def choose(self, prompts: Sequence[Sequence[int]], choices: Sequence[list[str]], most: int) -> list[str]:
        """Greedy completions that may be nothing but one of each prompt's ``choices``, in at most ``most`` tokens."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        params = [
            SamplingParams(max_tokens=most, temperature=0.0, structured_outputs=StructuredOutputsParams(choice=own))
            for own in choices
        ]
        return [out.outputs[0].text for out in self._generate(prompts, params)]

    def forget(self) -> None:
        """Empties the prefix cache."""
        self._llm.reset_prefix_cache()

    def restart(self) -> None:
        """A fresh engine of the same settings: requests that failed stay in the old one's queue and fail again."""
        self.close()
        self._adapters, self._llm = {}, self._load()

    def close(self) -> None:
        """Gives the memory back."""
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()

    def _generate(self, prompts: Sequence[Sequence[int]], params: list[Any]) -> list[Any]:
        inputs = [{"prompt_token_ids": list(ids)} for ids in prompts]
        with self._stance():
            outs: list[Any] = self._llm.generate(inputs, params, use_tqdm=False, lora_request=self._adapter)
        return outs

    def _stance(self) -> contextlib.AbstractContextManager[Any]:
        """On a CPU nothing is compiled: vLLM would spend half a minute on one small helper of its sampler."""
        import torch

        return torch.compiler.set_stance("force_eager") if self.on_cpu else contextlib.nullcontext()
