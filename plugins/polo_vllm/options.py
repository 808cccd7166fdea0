"""Options of the scorer ``vllm``. Knows types, bounds and defaults; imports neither torch nor vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from polo import Program


@dataclass(frozen=True, kw_only=True)
class VLLMOptions:
    """Scores with vLLM, in this environment or in another one, on one or several GPUs."""

    #: interpreter of another environment that has vLLM and pyarrow, such as /opt/vllm/bin/python; null: this one
    python: Annotated[str | None, Program()] = None
    #: ``here``: vLLM runs in polo's own process; ``child``: in processes of its own; ``ray``: in actors on a Ray
    #: cluster, whose nodes see the cache folder; ``auto``: ``here`` on a CPU with one engine and no ``python``, else
    #: ``child``
    process: Literal["auto", "here", "child", "ray"] = "auto"
    #: ``trie``: one request for each inner node of the tree of candidates; ``prompt_logprobs``: one for each candidate;
    #: ``auto``: both score a few rows, and the faster of those that agree goes on. Both are exact
    strategy: Literal["auto", "trie", "prompt_logprobs"] = "auto"
    #: ``request``: vLLM applies the adapters itself; ``merge``: they are merged into a temporary copy of the model;
    #: ``auto``: ``request`` where vLLM can
    lora: Literal["auto", "request", "merge"] = "auto"
    #: type of vLLM's weights; ``auto``: the policy's own (float32 for a float64 policy)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    #: longest prompt with a title, in tokens; null: as long as the longest at hand
    max_model_len: Annotated[int, Ge(16)] | None = None
    #: share of a GPU's memory that each engine takes
    gpu_memory_utilization: Annotated[float, Gt(0), Le(1)] = 0.85
    #: tokens in a block of the key-value cache; null: vLLM's own choice on a GPU, 32 on a CPU
    block_size: Annotated[int, Ge(1)] | None = None
    #: most tokens of one forward pass; null: vLLM's own choice. Lower it if ``prompt_logprobs`` runs out of memory
    batched_tokens: Annotated[int, Ge(16)] | None = None
    #: no CUDA graphs and no compilation: a quicker start, slower scoring; always so on a CPU
    eager: bool = False
    #: GiB of memory for the key-value cache on a CPU
    cpu_cache_gib: Annotated[int, Ge(1)] = 1
    #: engines side by side, each in a process and on GPUs of its own
    engines: Annotated[int, Ge(1)] = 1
    #: GPUs of one engine, for models that do not fit one
    tensor_parallel: Annotated[int, Ge(1)] = 1
    #: rows of one part of the work; what is lost at most when a process is killed
    part_rows: Annotated[int, Ge(1)] = 128
    #: users whose rows the policy scores too, before anything else is scored
    check_rows: Annotated[int, Ge(1)] = 32
    #: largest difference to the policy's own scores in nats; null: 1e-3 in float32, 0.15 in 16 bits
    tolerance: Annotated[float, Gt(0)] | None = None
    #: smallest share of checked rows with the same best candidate; candidates that are closer than a fifth of the
    #: tolerance count as the same
    agreement: Annotated[float, Ge(0), Le(1)] = 0.97
