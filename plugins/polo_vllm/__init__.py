"""First-party plugin: vLLM as the engine that scores candidates at evaluation. Training never loads it.

Declarations only; what they name is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_scorers() -> Sequence[Component]:
    """The scorer."""
    return [
        Component(
            name="vllm",
            build="polo_vllm.scorer:VLLMScorer",
            options="polo_vllm.options:VLLMOptions",
            summary="vLLM scores the candidates, exactly; checked against the policy's own scores in every evaluation",
            source="PagedAttention, arXiv 2309.06180",
            tags=("text", "logprob", "decode"),
        )
    ]
