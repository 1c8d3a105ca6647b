"""Configurations of text families in their published form, made small: the same keys, few layers, small widths.

Each entry is what the `config.json` of such a model holds. Windows are shorter than the prompts that are asked, so that
caches of every kind are filled beyond them.
"""

from typing import Any

Configuration = dict[str, Any]

VOCABULARY = 1536  # of the starter's tokenizer
WINDOW = 32

DECODER: Configuration = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "max_position_embeddings": 4096, "tie_word_embeddings": False, "torch_dtype": "float32", "eos_token_id": 1529,
    "rope_scaling": None, "attention_bias": False, "mlp_bias": False,
}  # fmt: skip
FOUR_LAYERS: Configuration = {"num_hidden_layers": 4}
LATENT: Configuration = {
    "kv_lora_rank": 32, "q_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 16,
    "num_key_value_heads": 4,
}  # fmt: skip
ROUTED: Configuration = {
    "moe_intermediate_size": 64, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": True, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
}  # fmt: skip
EXPERTS: Configuration = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True,
    "decoder_sparse_step": 1, "mlp_only_layers": [],
}  # fmt: skip
LINEAR: Configuration = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4, "full_attention_interval": 2,
}  # fmt: skip
MIXED_WINDOWS: Configuration = {
    "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"],
}  # fmt: skip
BAILING: Configuration = {
    "moe_intermediate_size": 64, "num_experts": 4, "num_shared_experts": 1, "norm_topk_prob": True,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "use_bias": False, "use_qkv_bias": False, "norm_head": False,
    "use_qk_norm": True, "partial_rotary_factor": 0.5, "moe_router_enable_expert_bias": True,
    "routed_scaling_factor": 2.5, "score_function": "sigmoid", "n_group": 1, "topk_group": 1,
}  # fmt: skip
MAMBA_2: Configuration = {
    "mamba_num_heads": 4, "mamba_head_dim": 32, "mamba_proj_bias": False, "ssm_state_size": 16, "conv_kernel": 4,
    "n_groups": 1, "use_bias": False, "use_conv_bias": True, "layer_norm_epsilon": 1e-5,
}  # fmt: skip
GRANITE: Configuration = {
    "logits_scaling": 4.0, "attention_multiplier": 0.25, "embedding_multiplier": 4.0, "residual_multiplier": 0.5,
}  # fmt: skip
GEMMA_3N: Configuration = {
    "model_type": "gemma3n_text", "num_hidden_layers": 4, "num_kv_shared_layers": 2,
    "vocab_size_per_layer_input": VOCABULARY, "sliding_window": WINDOW, "rope_local_base_freq": 10000.0,
    "final_logit_softcapping": 30.0, "activation_sparsity_pattern": [0.0, 0.0, 0.0, 0.0],
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    "hidden_size_per_layer_input": 16, "altup_num_inputs": 2, "altup_coef_clip": 120.0, "altup_correct_scale": True,
    "altup_active_idx": 0, "laurel_rank": 16, "intermediate_size": 128,
}  # fmt: skip
GEMMA_4: Configuration = {
    "model_type": "gemma4_text", "num_hidden_layers": 4, "global_head_dim": 32, "vocab_size_per_layer_input": VOCABULARY,
    "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 16, "sliding_window": WINDOW, "use_double_wide_mlp": False,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "tie_word_embeddings": True,
}  # fmt: skip
LLAMA_4: Configuration = {
    "model_type": "llama4_text", "attention_chunk_size": WINDOW, "interleave_moe_layer_step": 1,
    "intermediate_size_mlp": 128, "num_experts_per_tok": 1, "num_local_experts": 4, "use_qk_norm": True,
    "num_hidden_layers": 4, "attn_temperature_tuning": True, "floor_scale": 8192, "attn_scale": 0.1,
}  # fmt: skip
QWEN_35: Configuration = LINEAR | {
    "num_hidden_layers": 4,
    "rope_parameters": {
        "type": "default", "mrope_section": [1, 1, 0], "rope_theta": 10000.0, "partial_rotary_factor": 0.25,
    },
}  # fmt: skip
KIMI_ATTENTION: Configuration = {
    "kda_layers": [1, 3], "full_attn_layers": [2, 4], "num_heads": 4, "head_dim": 16, "short_conv_kernel_size": 4,
}  # fmt: skip

# The families that users have most.
COMMON: dict[str, Configuration] = {
    "llama": {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                               "original_max_position_embeddings": 1024}},
    "mistral": {"sliding_window": None},
    "mistral3": {"text_config": DECODER | {"model_type": "mistral"}},
    "ministral3": {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default",
                                       "original_max_position_embeddings": 4096, "llama_4_scaling_beta": 0.1}},
    "qwen2": {"attention_bias": True},
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "qwen3_next": LINEAR | EXPERTS | FOUR_LAYERS | {"shared_expert_intermediate_size": 64, "partial_rotary_factor": 0.25},
    "qwen3_5": {"text_config": DECODER | QWEN_35 | {"model_type": "qwen3_5_text"}},
    "qwen3_5_moe": {"text_config": DECODER | QWEN_35 | EXPERTS | {"model_type": "qwen3_5_moe_text",
                                                                  "shared_expert_intermediate_size": 64}},
    "gemma2": {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 16,
               "sliding_window": WINDOW},
    "gemma3_text": {"num_hidden_layers": 3, "sliding_window": WINDOW, "sliding_window_pattern": 3,
                    "query_pre_attn_scalar": 16, "rope_local_base_freq": 10000.0},
    "gemma3": {"text_config": DECODER | {"model_type": "gemma3_text", "num_hidden_layers": 3, "sliding_window": WINDOW,
                                         "sliding_window_pattern": 3, "query_pre_attn_scalar": 16}},
    "gemma3n": {"text_config": DECODER | GEMMA_3N},
    "gemma4_text": GEMMA_4,
    "gemma4": {"text_config": DECODER | GEMMA_4},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": WINDOW,
                "layer_types": ["sliding_attention", "full_attention"],
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024,
                                 "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False}},
    "lfm2": {"num_hidden_layers": 4, "norm_eps": 1e-5, "conv_bias": False, "conv_L_cache": 3, "block_dim": 64,
             "block_multiple_of": 32, "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True,
             "block_ff_dim": 128, "full_attn_idxs": [1, 3]},
    "lfm2_moe": {"num_hidden_layers": 4, "norm_eps": 1e-5, "conv_bias": False, "conv_L_cache": 3, "num_experts": 4,
                 "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True, "use_expert_bias": True,
                 "num_dense_layers": 1, "full_attn_idxs": [1, 3]},
    "granite": GRANITE,
    "granitemoe": GRANITE | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoehybrid": GRANITE | {
        "num_hidden_layers": 4, "layer_types": ["mamba", "attention", "mamba", "attention"], "num_local_experts": 4,
        "num_experts_per_tok": 2, "shared_intermediate_size": 64, "mamba_n_heads": 4, "mamba_d_head": 32,
        "mamba_proj_bias": False, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_n_groups": 1, "mamba_conv_bias": True,
        "position_embedding_type": "nope"},
    "nemotron_h": MAMBA_2 | {"hybrid_override_pattern": "M*M-", "num_hidden_layers": 4, "time_step_limit": [0.0, 100.0]},
    "phi3": {"original_max_position_embeddings": 4096},
    "olmo2": {},
    "olmo3": MIXED_WINDOWS,
    "smollm3": {"no_rope_layer_interval": 2, "no_rope_layers": [1, 0]},
    "glm4": {"partial_rotary_factor": 0.5},
    "glm4_moe": ROUTED | {"use_qk_norm": True, "partial_rotary_factor": 0.5},
    "deepseek_v2": LATENT | ROUTED | {
        "topk_method": "group_limited_greedy", "scoring_func": "softmax",
        "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 1024, "beta_fast": 32,
                         "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}},
    "deepseek_v3": LATENT | ROUTED,
    "mamba": {"intermediate_size": 128, "state_size": 8, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True,
              "time_step_rank": 4},
    "mamba2": {"num_heads": 4, "head_dim": 32, "intermediate_size": 128, "state_size": 16, "layer_norm_epsilon": 1e-5,
               "conv_kernel": 4, "n_groups": 1, "use_bias": False, "use_conv_bias": True,
               "time_step_limit": [0.0, 100.0], "time_step_rank": 4},
    "rwkv7": {"norm_eps": 1e-5, "head_dim": 16, "a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 8,
              "decay_low_rank_dim": 8},
    "bailing_moe": BAILING,
    "bailing_moe_linear": BAILING | FOUR_LAYERS | {"layer_group_size": 2, "group_norm_size": 2},
    "llama4": {"text_config": DECODER | LLAMA_4},
    "cohere2": {"layer_norm_eps": 1e-5, "logit_scale": 0.25, "sliding_window": WINDOW, "sliding_window_pattern": 2,
                "tie_word_embeddings": True},
    "ernie4_5": {"use_bias": False},
    "exaone4": {"num_hidden_layers": 4, "sliding_window": WINDOW, "sliding_window_pattern": "LG",
                "layer_types": ["sliding_attention", "full_attention"] * 2},
    "minimax": {"num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 0, "rotary_dim": 8,
                "scoring_func": "sigmoid", "use_qk_norm": True},
    "falcon_h1": {"mamba_d_ssm": 128, "mamba_d_head": 32, "mamba_n_heads": 4, "mamba_d_state": 16, "mamba_d_conv": 4,
                  "mamba_n_groups": 1, "mamba_expand": 2, "mamba_chunk_size": 16, "mamba_conv_bias": True,
                  "mamba_proj_bias": False, "mamba_rms_norm": False, "mamba_use_mlp": True,
                  "lm_head_multiplier": 1.0},
    "jamba": {"num_hidden_layers": 4, "attn_layer_offset": 1, "attn_layer_period": 2, "expert_layer_offset": 1,
              "expert_layer_period": 2, "mamba_d_conv": 4, "mamba_d_state": 8, "mamba_expand": 2, "num_experts": 4,
              "num_experts_per_tok": 2},
    "kimi_linear": EXPERTS | LATENT | {
        "num_hidden_layers": 4, "linear_attn_config": KIMI_ATTENTION, "model_max_length": 4096, "num_shared_experts": 1,
        "num_experts_per_token": 2, "first_k_dense_replace": 1, "mla_use_nope": True, "moe_renormalize": True,
        "num_expert_group": 1, "topk_group": 1, "q_lora_rank": None},
}  # fmt: skip


def configuration(family: str, changes: Configuration) -> Configuration:
    """The `config.json` of a family: where a text model is wrapped, its own keys are inside `text_config`."""
    if "text_config" in changes:
        wrapping = {"torch_dtype": "float32", "eos_token_id": 1529, "vocab_size": VOCABULARY}
        return wrapping | {"model_type": family} | changes
    return DECODER | {"model_type": family} | changes
