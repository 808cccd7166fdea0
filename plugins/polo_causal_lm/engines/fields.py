"""Which fields of a config are known to say nothing of who attends to whom. Knows names of fields, no model.

An engine that shares prompts rests on one thing: in every layer a token sees the tokens before it, and nothing else of
a model depends on where in a pass a token stands. Fields that could say otherwise are countless; those that are known
not to are listed here, and all of them were seen in models whose engine agrees with the naive form.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from torch import nn

_WORDS = """
    vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim
    n_embd n_layer n_head n_inner d_model ffn_dim num_layers num_heads attention_heads dff kv_channels v_head_dim
    q_lora_rank kv_lora_rank qk_head_dim qk_nope_head_dim qk_rope_head_dim word_embed_proj_dim embedding_size
    intermediate_multiple_size num_attention_heads_per_layer num_layers_per_stack decoder_layers decoder_ffn_dim
    decoder_attention_heads vocab_size_per_layer_input hidden_size_per_layer_input ffn_hidden_size n_positions n_ctx
    max_position_embeddings original_max_position_embeddings rope_parameters rope_theta rope_scaling rotary_dim
    partial_rotary_factor rotary_emb_base rotary_pct layer_rope_theta rope_interleave no_rope_layers
    scale_embedding embedding_multiplier embedding_scale logits_scaling logit_scale residual_multiplier
    attention_multiplier attention_value_scale query_pre_attn_scalar scale_attn_weights
    scale_attn_by_inverse_layer_idx reorder_and_upcast_attn attn_logit_softcapping final_logit_softcapping
    attention_softmax_in_fp32 scale_attention_softmax_in_fp32 attention_k_eq_v clip_qkv multi_query gating
    lambda_std_dev mup_enabled scale_emb scale_depth dim_model_base
    hidden_act hidden_activation activation_function swiglu_alpha swiglu_limit use_double_wide_mlp
    rms_norm_eps layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon layer_norm_elementwise_affine
    do_layer_norm_before qk_layernorm use_qk_norm use_post_norm use_parallel_residual
    attention_bias mlp_bias use_bias enable_bias qkv_bias attention_out_bias lm_head_bias use_qkv_bias
    dropout attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop embedding_dropout residual_dropout
    activation_dropout hidden_dropout_prob attention_probs_dropout_prob classifier_dropout layerdrop
    decoder_layerdrop initializer_range
    num_experts num_local_experts num_experts_per_tok top_k_experts moe_intermediate_size moe_num_experts moe_topk
    moe_k n_routed_experts n_shared_experts num_shared_experts moe_num_shared_experts shared_intermediate_size
    shared_expert_intermediate_size norm_topk_prob n_group topk_group topk_method routed_scaling_factor route_scale
    moe_routed_scaling_factor router_scaling_factor router_aux_loss_coef aux_loss_coef output_router_logits
    router_jitter_noise input_jitter_noise moe_layer_start_index moe_layer_end_index moe_layer_interval moe_norm_min
    moe_router_logit_softcapping enable_moe_block enable_moe_fp32_combine mlp_only_layers mlp_layer_types
    first_k_dense_replace num_dense_layers scoring_func decoder_sparse_step expert_ffn_hidden_size zero_expert_num
    activation num_kv_heads parallel_attn new_decoder_architecture num_ln_in_parallel_attn
    block_auto_adjust_ff_dim block_ffn_dim_multiplier block_multiple_of embedding_initializer_range
    use_cache return_dict output_hidden_states output_attentions dtype torch_dtype problem_type id2label label2id
    num_labels pad_token_id bos_token_id eos_token_id decoder_start_token_id tie_word_embeddings pretraining_tp
    is_decoder is_encoder_decoder vision_config audio_config summary_type summary_use_proj summary_activation
    summary_proj_to_labels summary_first_dropout
"""
#: in order: sizes, positions, scales, activations, norms, biases, dropout, experts, and what no layer reads
HARMLESS = frozenset(_WORDS.split())
#: how far layers see; :func:`~polo_causal_lm.engines.masks.layer_windows` reads them
READ = frozenset({"sliding_window", "use_sliding_window", "layer_types", "sliding_window_pattern", "max_window_layers"})
_READS = re.compile(r"""config\.(\w+)|getattr\(\s*(?:self\.)?config,\s*["'](\w+)["']""")


def unknown_fields(lm: nn.Module, config: Any) -> list[str]:
    """Names of fields that the model's code reads, that are set, and that are not known to be harmless.

    Args:
        lm: the transformers model; the modules in which its layers are defined are searched for ``config.NAME``.
        config: its text config. A field of no effect (None, 0, False, empty) is passed over, and so is one that
            no line of the model reads, such as a trainer's note.

    Example:
        >>> import transformers
        >>> size = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> config = transformers.GPTNeoXConfig(**size, intermediate_size=8, made_with="love")
        >>> unknown_fields(transformers.GPTNeoXForCausalLM(config), config)
        []
    """
    families = ("transformers.", "transformers_modules.")  # the second is where code of a model's own is put
    names = {name for part in lm.modules() if (name := type(part).__module__).startswith(families)}
    read = {found for name in names for pair in _READS.findall(_source(name)) for found in pair}
    return sorted(
        name for name, value in vars(config).items() if value and name in read and name not in HARMLESS | READ
    )


def _source(module: str) -> str:
    file = getattr(sys.modules[module], "__file__", None)
    if file is None or not file.endswith(".py"):
        return ""
    return Path(file).read_text(encoding="utf-8")
