"""Models made on the spot, with the starter model's tokenizer: random weights, real architectures."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models import qwen3, qwen3_next

from adapters.models.starters import STARTERS

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
SHAPE: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32,
}  # fmt: skip


def starter_config() -> dict[str, Any]:
    return json.loads((STARTERS["starter"] / "config.json").read_text())


def random_qwen3(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A Qwen3 with random weights in bfloat16."""
    config = starter_config() | SHAPE | changes
    mx.random.seed(seed)
    return _save(folder, config, qwen3.Model(qwen3.ModelArgs.from_dict(config)))


def random_experts(folder: Path) -> Path:
    """A Qwen3-MoE with random weights: eight experts a layer, two of which each token goes to."""
    from mlx_lm.models import qwen3_moe

    config = starter_config() | SHAPE | {
        "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "moe_intermediate_size": 64, "norm_topk_prob": True, "tie_word_embeddings": True,
    }  # fmt: skip
    mx.random.seed(0)
    # MLX multiplies by expert on the CPU in float32 only.
    return _save(folder, config, qwen3_moe.Model(qwen3_moe.ModelArgs.from_dict(config)), mx.float32)


def quantized(folder: Path, source: Path, bits: int = 4) -> Path:
    """A model in so many bits, as mlx_lm converts it."""
    from mlx_lm import convert

    convert(str(source), str(folder), quantize=True, q_bits=bits, q_group_size=32)
    return folder


def random_hybrid(folder: Path) -> Path:
    """A Qwen3-Next with random weights: three layers of linear attention, whose caches cannot be trimmed, and one full."""
    config = starter_config() | SHAPE | {
        "model_type": "qwen3_next", "num_hidden_layers": 4, "full_attention_interval": 4, "linear_num_value_heads": 4,
        "linear_num_key_heads": 2, "linear_key_head_dim": 32, "linear_value_head_dim": 32, "linear_conv_kernel_dim": 4,
        "num_experts": 0, "num_experts_per_tok": 0, "decoder_sparse_step": 1, "shared_expert_intermediate_size": 64,
        "moe_intermediate_size": 64, "mlp_only_layers": [], "partial_rotary_factor": 0.5, "norm_topk_prob": True,
    }  # fmt: skip
    mx.random.seed(0)
    return _save(folder, config, qwen3_next.Model(qwen3_next.ModelArgs.from_dict(config)))


def _save(folder: Path, config: dict[str, Any], model: Any, dtype: mx.Dtype = mx.bfloat16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copy(STARTERS["starter"] / name, folder / name)
    weights: Any = tree_flatten(tree_map(lambda x: x.astype(dtype), model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def copy_of_starter(folder: Path) -> Path:
    """The starter text model in a folder of the test."""
    return Path(shutil.copytree(STARTERS["starter"], folder))


def model_that_never_ends(folder: Path) -> Path:
    """A Qwen3 with random weights that cannot say the tokens that end an answer: their logits are 0, others are above."""
    random_qwen3(folder, max_position_embeddings=1 << 20)
    weights: Any = mx.load(str(folder / "model.safetensors"))
    ends = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    weights["model.embed_tokens.weight"][mx.array(ends)] = 0
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


def starter_that_calls_in_xml(folder: Path) -> Path:
    """The starter text model with a template that writes calls as Qwen3-Coder and Qwen3.5 do."""
    template = copy_of_starter(folder) / "chat_template.jinja"
    before, call, rest = template.read_text().partition("{{- '<tool_call>")
    after = rest.partition("</tool_call>' -}}")[2]
    written = (
        "{{- '<tool_call>\\n<function=' + f.name + '>\\n' -}}"
        "{%- for name, value in f.arguments.items() -%}"
        "{{- '<parameter=' + name + '>\\n' + value | string + '\\n</parameter>\\n' -}}"
        "{%- endfor -%}{{- '</function>\\n</tool_call>' -}}"
    )
    assert call
    template.write_text(before + written + after)
    named = json.loads((folder / "tokenizer_config.json").read_text())
    del named["tool_parser_type"]  # as in the models of others, whose parser mlx_lm tells by the template
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return folder


def random_vision(folder: Path, hybrid: bool = False, width: int = 128, layers: int = 4) -> Path:
    """A vision model with random weights in float32 that makes about 250 tokens of a picture.

    A Qwen3-VL whose tower feeds several layers of its language model, or a Qwen3.5, most of whose layers have linear
    attention, with caches that cannot be trimmed.
    """
    from mlx_vlm.utils import get_model_and_args, update_module_configs

    config = json.loads((STARTERS["starter-vision"] / "config.json").read_text())
    kind = "qwen3_5" if hybrid else "qwen3_vl"
    config |= {"model_type": kind}
    config["vision_config"] |= {
        "model_type": kind, "deepstack_visual_indexes": [] if hybrid else [0, 1, 2], "out_hidden_size": width,
        "depth": layers,
    }  # fmt: skip
    config["text_config"] |= {"hidden_size": width, "num_hidden_layers": layers, "intermediate_size": 3 * width}
    if hybrid:
        config["text_config"] |= {
            "model_type": "qwen3_5_text", "full_attention_interval": 2, "linear_num_value_heads": 4,
            "linear_num_key_heads": 2, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
            "linear_conv_kernel_dim": 4,
            "rope_parameters": {
                "type": "default", "mrope_section": [3, 3, 2], "rope_theta": 10000, "partial_rotary_factor": 0.5,
            },
        }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for path in STARTERS["starter-vision"].glob("*.json*"):
        if path.name != "config.json":
            shutil.copy(path, folder / path.name)
    shutil.copy(STARTERS["starter-vision"] / "chat_template.jinja", folder / "chat_template.jinja")
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    pictures["size"] = {"shortest_edge": 60_000, "longest_edge": 66_000}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    (folder / "config.json").write_text(json.dumps(config))
    family, _ = get_model_and_args(config=config)
    made = family.ModelConfig.from_dict(json.loads(json.dumps(config)))
    made = update_module_configs(made, family, config, ["text", "vision"])
    mx.random.seed(3)
    weights: Any = tree_flatten(family.Model(made).parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"})
    return folder


def random_parakeet(folder: Path) -> Path:
    """A Parakeet (TDT) with random weights, in NeMo's own form of configuration: it has no `model_type`."""
    from mlx_audio.stt.models.parakeet import Model

    vocabulary = ["▁yes", "▁no", "s", "▁light", "on", "."]
    config = {
        "target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel",
        "model_defaults": {"tdt_durations": [0, 1, 2, 3, 4]},
        "preprocessor": {
            "sample_rate": 16000, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01,
            "window": "hann", "features": 32, "n_fft": 512, "dither": 0.0,
        },
        "encoder": {
            "feat_in": 32, "n_layers": 2, "d_model": 32, "n_heads": 2, "ff_expansion_factor": 2,
            "subsampling_factor": 8, "self_attention_model": "rel_pos", "subsampling": "dw_striding",
            "conv_kernel_size": 9, "subsampling_conv_channels": 16, "pos_emb_max_len": 5000,
        },
        "decoder": {
            "blank_as_pad": True, "vocab_size": len(vocabulary),
            "prednet": {"pred_hidden": 32, "pred_rnn_layers": 1},
        },
        "joint": {
            "num_classes": len(vocabulary), "vocabulary": vocabulary, "num_extra_outputs": 5,
            "jointnet": {"joint_hidden": 32, "activation": "relu", "encoder_hidden": 32, "pred_hidden": 32},
        },
        "decoding": {"model_type": "tdt", "durations": [0, 1, 2, 3, 4], "greedy": {"max_symbols": 4}},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    mx.random.seed(2)
    weights: Any = tree_flatten(Model.from_config(json.loads(json.dumps(config))).parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"})
    return folder


def starter_of_family(folder: Path, *marks: str) -> Path:
    """The starter text model with a template in which these marks stand, by which its family is told."""
    template = copy_of_starter(folder) / "chat_template.jinja"
    usual = template.read_text().replace("<tool_call>", "<call>").replace("</tool_call>", "</call>")
    template.write_text("{# " + " ".join(marks) + " #}" + usual)
    named = json.loads((folder / "tokenizer_config.json").read_text())
    del named["tool_parser_type"]
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    return folder
