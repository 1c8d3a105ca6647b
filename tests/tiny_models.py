"""Models made on the spot, with the starter model's tokenizer: random weights, real architectures."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models import qwen3, qwen3_next

from adapters.models.names import STARTERS

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


def _save(folder: Path, config: dict[str, Any], model: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copy(STARTERS["starter"] / name, folder / name)
    weights: Any = tree_flatten(tree_map(lambda x: x.astype(mx.bfloat16), model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(weights), metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def copy_of_starter(folder: Path) -> Path:
    """The starter text model in a folder of the test."""
    return Path(shutil.copytree(STARTERS["starter"], folder))
