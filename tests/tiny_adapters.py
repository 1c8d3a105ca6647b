"""Adapters with random weights, written by mlx_lm's own layers."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model


def random_adapter(
    folder: Path,
    model: Path,
    seed: int = 1,
    method: str = "lora",
    size: float = 1.5,
    layers: int = -1,
    **parameters: Any,
) -> Path:
    """An adapter of that model which changes what it says. `parameters` are those of mlx_lm's configuration."""
    settings = {"rank": 8, "scale": 4.0, "dropout": 0.0} | parameters
    made, _ = load_model(model)
    mx.random.seed(seed)
    if method == "full":
        layers_of: Any = made.layers
        wanted = layers_of[-1].self_attn.q_proj
        wanted.weight = wanted.weight + mx.random.normal(wanted.weight.shape).astype(wanted.weight.dtype) * size
        made.freeze()
        wanted.unfreeze()
    else:
        made.freeze()
        linear_to_lora_layers(made, layers, settings, use_dora=method == "dora")
    found: Any = tree_flatten(made.trainable_parameters())
    weights = {
        name: mx.random.normal(value.shape) * size if name.endswith("lora_b") else value for name, value in found
    }
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {"fine_tune_type": method, "num_layers": layers, "lora_parameters": settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
