"""Configurations of vision families in their published form, made small, as tests/families/text_configurations.py has them."""

from tests.families.text_configurations import DECODER, EXPERTS, LINEAR, VOCABULARY, WINDOW, Configuration

WRAPPED: Configuration = {
    "vocab_size": VOCABULARY, "eos_token_id": 1529, "torch_dtype": "float32", "image_token_id": 5,
    "image_token_index": 5, "hidden_size": 64,
}  # fmt: skip
QWEN: Configuration = WRAPPED | {"video_token_id": 6, "vision_start_token_id": 7, "vision_end_token_id": 8}
TOWER: Configuration = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "num_attention_heads": 4, "patch_size": 14,
    "image_size": 56, "num_channels": 3, "layer_norm_eps": 1e-6, "projection_dim": 64, "vocab_size": VOCABULARY,
}  # fmt: skip
QWEN_TOWER: Configuration = TOWER | {
    "depth": 2, "embed_dim": 64, "num_heads": 4, "in_channels": 3, "in_chans": 3, "spatial_patch_size": 14,
    "out_hidden_size": 64, "fullatt_block_indexes": [1], "deepstack_visual_indexes": [0, 1],
    "num_position_embeddings": 64, "spatial_merge_size": 2, "temporal_patch_size": 2, "mlp_ratio": 2,
}  # fmt: skip
SECTIONS: Configuration = {"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}
QWEN_3: Configuration = DECODER | {
    "rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": [4, 2, 2]},
}  # fmt: skip
QWEN_35: Configuration = DECODER | LINEAR | {
    "num_hidden_layers": 4,
    "rope_parameters": {
        "type": "default", "mrope_section": [1, 1, 0], "rope_theta": 10000.0, "partial_rotary_factor": 0.25,
    },
}  # fmt: skip
MISTRAL: Configuration = DECODER | {"model_type": "mistral"}
LFM_2: Configuration = DECODER | {
    "model_type": "lfm2", "num_hidden_layers": 4, "norm_eps": 1e-5, "conv_bias": False, "conv_L_cache": 3,
    "block_dim": 64, "block_multiple_of": 32, "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True,
    "block_ff_dim": 128, "full_attn_idxs": [1, 3], "conv_dim": 64, "conv_dim_out": 64, "num_heads": 4,
}  # fmt: skip

VISION: dict[str, Configuration] = {
    "qwen2_vl": DECODER | SECTIONS | QWEN | {
        "vision_config": QWEN_TOWER | {"model_type": "qwen2_vl"}},
    "qwen2_5_vl": QWEN | DECODER | SECTIONS | {
        "vision_config": QWEN_TOWER | {"model_type": "qwen2_5_vl"}},
    "qwen3_vl": QWEN | {"text_config": QWEN_3 | {"model_type": "qwen3_vl_text"},
                        "vision_config": QWEN_TOWER | {"model_type": "qwen3_vl"}},
    "qwen3_vl_moe": QWEN | {"text_config": QWEN_3 | EXPERTS | {"model_type": "qwen3_vl_moe_text"},
                            "vision_config": QWEN_TOWER | {"model_type": "qwen3_vl_moe"}},
    "qwen3_5": QWEN | {"text_config": QWEN_35 | {"model_type": "qwen3_5_text"},
                       "vision_config": QWEN_TOWER | {"model_type": "qwen3_5", "deepstack_visual_indexes": []}},
    "gemma3": WRAPPED | {"text_config": DECODER | {"model_type": "gemma3_text", "num_hidden_layers": 3,
                                                   "sliding_window": WINDOW, "sliding_window_pattern": 3,
                                                   "query_pre_attn_scalar": 16, "mm_tokens_per_image": 4},
                         "vision_config": TOWER | {"model_type": "siglip_vision_model"}, "mm_tokens_per_image": 4},
    "mistral3": WRAPPED | {"text_config": MISTRAL, "vision_config": TOWER | {"model_type": "pixtral", "head_dim": 16}},
    "pixtral": WRAPPED | {"text_config": MISTRAL, "vision_config": TOWER | {"model_type": "pixtral", "head_dim": 16}},
    "llava": WRAPPED | {"text_config": DECODER | {"model_type": "llama"},
                        "vision_config": TOWER | {"model_type": "clip_vision_model"}},
    "llava_next": WRAPPED | {"text_config": DECODER | {"model_type": "mistral", "head_dim": None},
                             "vision_config": TOWER | {"model_type": "clip_vision_model"}},
    "idefics3": WRAPPED | {"text_config": DECODER | {"model_type": "llama"},
                           "vision_config": TOWER | {"model_type": "idefics3"}},
    "smolvlm": WRAPPED | {"text_config": DECODER | {"model_type": "llama"},
                          "vision_config": TOWER | {"model_type": "smolvlm_vision"}},
    "lfm2-vl": WRAPPED | {"text_config": LFM_2, "vision_config": TOWER | {"model_type": "siglip2_vision_model",
                                                                          "num_patches": 16}},
    "paligemma": WRAPPED | {"text_config": DECODER | {"model_type": "gemma", "num_image_tokens": 16},
                            "vision_config": TOWER | {"model_type": "siglip_vision_model"}, "projection_dim": 64},
    "mllama": WRAPPED | {"text_config": DECODER | {"model_type": "mllama_text_model", "num_hidden_layers": 3,
                                                   "cross_attention_layers": [1]},
                         "vision_config": TOWER | {"model_type": "mllama_vision_model", "max_num_tiles": 4,
                                                   "num_global_layers": 1, "vision_output_dim": 128,
                                                   "intermediate_layers_indices": [0]}},
    "cohere2_vision": WRAPPED | {"text_config": DECODER | {"model_type": "cohere2", "layer_norm_eps": 1e-5,
                                                           "logit_scale": 0.25, "sliding_window": WINDOW,
                                                           "sliding_window_pattern": 2},
                                 "vision_config": TOWER | {"model_type": "siglip_vision_model"},
                                 "alignment_intermediate_size": 128},
    "internvl_chat": WRAPPED | {"text_config": DECODER | {"model_type": "qwen2"},
                                "vision_config": TOWER | {"model_type": "intern_vit_6b"}},
}  # fmt: skip


def vision_configuration(family: str) -> Configuration:
    """The `config.json` of a vision family."""
    config = {"model_type": family} | VISION[family]
    if family in ("qwen2_vl", "qwen2_5_vl"):
        # Their sizes are at the top, where the library looks for them as well once it has put them into a part.
        config |= {"text_config": {key: value for key, value in config.items() if key != "vision_config"}}
    return config
