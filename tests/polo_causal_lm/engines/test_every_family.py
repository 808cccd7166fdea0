"""All causal models of transformers that can be built small: scored exactly, or refused with a sentence.

What a family gets is what the policy would give it: the chosen engine, then the start-up checks. The judge is the
model's public forward on one prompt with one title at a time: no padding, no mask, no engine.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from polo import InputError
from polo_causal_lm.engines.check import TOLERANCE, check_base, check_engine
from polo_causal_lm.engines.choose import choose_engine, slower_engines
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.quiet import quiet
from tests.polo_causal_lm.world import VOCAB, random_encoded

#: field -> a small value, given where a family has the field and its default is not None
SMALL = {
    **dict.fromkeys(["hidden_size", "n_embd", "d_model", "dim", "embedding_size", "word_embed_proj_dim"], 32),
    **dict.fromkeys(["intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "decoder_ffn_dim"], 48),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers", "encoder_layers"], 2),
    **dict.fromkeys(["num_attention_heads", "n_head", "num_heads", "n_heads", "decoder_attention_heads"], 4),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"], 256),
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"], 4),
    **dict.fromkeys(["num_experts_per_tok", "moe_k", "moe_topk"], 2),
    **dict.fromkeys(["moe_intermediate_size", "shared_expert_intermediate_size", "q_lora_rank", "kv_lora_rank"], 16),
    **dict.fromkeys(["head_dim", "v_head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "rotary_dim", "state_size"], 8),
    **dict.fromkeys(["n_group", "topk_group"], 1),
    **dict.fromkeys(["sliding_window", "window_size", "attention_chunk_size"], 16),
    "mamba_d_ssm": 64,
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "attention_types": [[["global", "local"], 1]],
    "num_key_value_heads": 2,
    "num_kv_heads": 2,
    "vocab_size": VOCAB,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
#: tried in this order until one can be built and runs; families with compressed keys have as many of them as queries
VARIANTS: list[dict[str, Any]] = [{}, {"num_key_value_heads": 4}, {"num_key_value_heads": 4, "head_dim": 16}]
#: most weights of a small model
WEIGHTS = 3_000_000


def small_config(kind: str, **others: Any) -> Any:
    config = AutoConfig.for_model(kind).get_text_config()
    also = getattr(config, "attribute_map", {})
    values = {}
    for name, value in {**SMALL, **others}.items():
        own = also.get(name, name)
        if own in vars(config) and (name.endswith("token_id") or vars(config)[own] is not None):
            values[name] = value
    return type(config)(**values)


def small_model(kind: str) -> Any:
    """A random model of this kind; skips the test if none of the small configs makes one that runs."""
    reason = ""
    for others in VARIANTS:
        try:
            config = small_config(kind, **others)
            with torch.device("meta"):
                weights = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
            if weights > WEIGHTS:
                pytest.skip(f"{weights:,} weights are not small")
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config).eval()
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    torch.nn.init.normal_(parameter, std=0.25)
            with torch.no_grad():
                model(input_ids=torch.arange(3, 13)[None], use_cache=False)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            return model
    pytest.skip(f"not built small: {reason}")


def score_alone(model: Any, prompt: Any, title: Any) -> float:
    """The sum of log-probabilities of a title, from the model's public forward."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *title]]), use_cache=False).logits[0]
    logps = logits.log_softmax(-1)
    return sum(float(logps[len(prompt) - 1 + place, token]) for place, token in enumerate(title))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
def test_law_a_family_is_scored_exactly_or_refused(kind: str) -> None:
    transformers.logging.set_verbosity_error()
    with quiet():
        model = small_model(kind)
        engine, _ = choose_engine("auto", model, 128)
        scorer = CandidateScorer(model, engine).eval()
        first, rows = random_encoded(0, rows=2, n=20), random_encoded(5, rows=3, n=20)
        try:
            check_base(scorer, first, torch.float32, "LoRA on all linear layers")
        except InputError:
            return
        check_engine(scorer, first, torch.float32, slower_engines(engine, model))
        with torch.no_grad():
            found = scorer(scorer.engine.layout(rows, torch.device("cpu")))
        for row, (prompt, titles) in enumerate(zip(rows.prompts, rows.titles, strict=True)):
            for place, title in enumerate(titles[:4]):
                alone = score_alone(model, prompt, title)
                assert math.isclose(
                    float(found[row, place]), alone, abs_tol=TOLERANCE[torch.float32] * (1 + abs(alone) / 25)
                ), f"{kind} under engine {scorer.engine.name}"
