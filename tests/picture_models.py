"""Vision models of several families with random weights and byte tokens, each with its family's own processor."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from tokenizers import AddedToken, Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel

MARKS = ("<pad>", "<bos>", "<eos>", "<|turn|>")
# A template that shows parts where they stand. `IMAGE` is the family's mark of a picture.
TEMPLATE = (
    "{{ bos_token }}{%- for m in messages %}<|turn|>{{ m.role }}\n{%- if m.content is string %}{{ m.content }}"
    "{%- else %}{%- for part in m.content %}{%- if part.type == 'image' %}IMAGE{%- else %}{{ part.text }}{%- endif %}"
    "{%- endfor %}{%- endif %}<eos>\n{%- endfor %}{%- if add_generation_prompt %}<|turn|>assistant\n{%- endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048,
    "rope_theta": 10000.0, "tie_word_embeddings": True,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "num_attention_heads": 2, "patch_size": 14,
    "image_size": 112, "num_channels": 3, "head_dim": 16,
}  # fmt: skip


def random_gemma4(folder: Path) -> Path:
    """A Gemma 4 whose picture tokens see each other in both directions."""
    marks = {"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"}
    ids = _tokenizer(folder, (*marks.values(), "<|video|>"), "<|image|>", marks)
    text = TEXT | {
        "model_type": "gemma4_text", "vocab_size": ids["size"], "global_head_dim": 16, "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 0, "sliding_window": 64, "sliding_window_pattern": 2,
        "use_bidirectional_attention": "vision", "use_double_wide_mlp": False,
    }  # fmt: skip
    vision = VISION | {
        "model_type": "gemma4_vision", "num_key_value_heads": 2, "global_head_dim": 16, "pooling_kernel_size": 2,
        "position_embedding_size": 64, "default_output_length": 70,
    }  # fmt: skip
    _save(folder, {
        "model_type": "gemma4", "text_config": text, "vision_config": vision, "vocab_size": ids["size"],
        "image_token_id": ids["<|image|>"], "video_token_id": ids["<|video|>"], "boi_token_id": ids["<|image>"],
        "eoi_token_id": ids["<image|>"], "audio_token_id": 100_001, "hidden_size": 64, "eos_token_id": ids["<eos>"],
    })  # fmt: skip
    pictures = {"patch_size": 14, "max_soft_tokens": 70, "pooling_kernel_size": 2}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": pictures}))
    return folder


def random_mistral3(folder: Path) -> Path:
    """A Mistral 3, whose processor has no chat template: its tokenizer has it."""
    ids = _tokenizer(folder, ("[IMG]", "[IMG_BREAK]", "[IMG_END]"), "[IMG]", {})
    _save(folder, {
        "model_type": "mistral3", "vocab_size": ids["size"], "image_token_index": ids["[IMG]"],
        "text_config": TEXT | {"model_type": "mistral", "vocab_size": ids["size"]},
        "vision_config": VISION | {"model_type": "pixtral", "rope_theta": 10000.0}, "spatial_merge_size": 2,
        "vision_feature_layer": -1, "eos_token_id": ids["<eos>"],
    })  # fmt: skip
    named = {"patch_size": 14, "spatial_merge_size": 2, "processor_class": "PixtralProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(named))
    pictures = {
        "image_processor_type": "PixtralImageProcessor", "patch_size": {"height": 14, "width": 14},
        "size": {"longest_edge": 112}, "do_resize": True, "do_rescale": True, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 1 / 255,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return folder


def _tokenizer(folder: Path, marks: tuple[str, ...], image: str, named: dict[str, str]) -> dict[str, int]:
    """Write a byte tokenizer with these marks; gives their ids, and under `size` how many tokens there are."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(vocab={one: i for i, one in enumerate(sorted(ByteLevel.alphabet()))}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in (*MARKS, *marks)])
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
        "model_max_length": 2048, "clean_up_tokenization_spaces": False, "extra_special_tokens": named,
        "chat_template": TEMPLATE.replace("IMAGE", image),
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    ids = {mark: tokenizer.token_to_id(mark) or 0 for mark in (*MARKS, *marks)}
    return ids | {"size": tokenizer.get_vocab_size()}


def _save(folder: Path, config: dict[str, Any]) -> None:
    """Write the configuration and random weights in float32."""
    from mlx_vlm.utils import get_model_and_args, update_module_configs

    (folder / "config.json").write_text(json.dumps(config))
    family, _ = get_model_and_args(config=json.loads(json.dumps(config)))
    made = family.ModelConfig.from_dict(json.loads(json.dumps(config)))
    made = update_module_configs(made, family, config, ["text", "vision"])
    mx.random.seed(5)
    flat: Any = tree_flatten(family.Model(made).parameters())
    # Larger than a fresh model's: what is written has to depend on what is seen.
    weights = {
        name: mx.random.normal(one.shape) * (0.1 if "embed_tokens" in name else 0.6) if one.ndim > 1 else one
        for name, one in flat
    }
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
