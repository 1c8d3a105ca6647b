"""Checkpoints of any family with random weights, made on the spot as the conversions of mlx-community have them."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from adapters.models.starters import STARTERS
from tests.families.text_configurations import Configuration
from tests.tiny_models import TOKENIZER_FILES

# Random layers of the usual size hardly change what goes through them: an answer would not depend on the prompt.
_LOUDNESS = 2.0


def text_checkpoint(folder: Path, config: Configuration, seed: int = 0) -> Path:
    """A text model of that configuration, with the starter's tokenizer, in float32: what every device computes alike."""
    from mlx_lm.utils import _get_classes  # pyright: ignore[reportPrivateUsage]

    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copy(STARTERS["starter"] / name, folder / name)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    kind, arguments = _get_classes(config)
    mx.random.seed(seed)
    model = kind(arguments.from_dict(json.loads(json.dumps(config))))
    save_weights(folder, model)
    return folder


def save_weights(folder: Path, model: Any) -> None:
    parameters: Any = tree_flatten(model.parameters())
    weights = {name: _loud(name, value) for name, value in parameters}
    model.update(tree_unflatten(list(weights.items())))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _loud(name: str, value: mx.array) -> mx.array:
    if value.dtype not in (mx.float32, mx.float16, mx.bfloat16):
        return value
    value = value.astype(mx.float32)
    if not mx.any(value != 0).item() and value.ndim:
        # What a model begins with as nothing (biases, sinks, masks of experts) is something in a trained one.
        return 0.1 * mx.random.normal(value.shape)
    return value * _LOUDNESS if value.ndim >= 2 and name.endswith("weight") and "conv" not in name else value


def quantized_checkpoint(folder: Path, source: Path, how: str) -> Path:
    """The same model as mlx_lm converts it: in 4 bits, as mxfp4, or with 6 bits for what matters most."""
    from mlx_lm import convert

    with contextlib.redirect_stdout(io.StringIO()):
        convert(
            str(source), str(folder), quantize=True, q_bits=4, q_group_size=32,
            q_mode="mxfp4" if how == "mxfp4" else "affine",
            quant_predicate="mixed_4_6" if how == "mixed" else None,
        )  # fmt: skip
    return folder


def vision_checkpoint(folder: Path, config: Configuration, seed: int = 0) -> Path:
    """A vision model of that configuration, with the starter's tokenizer and no processor: it is asked about text alone."""
    from mlx_vlm.utils import get_model_and_args, update_module_configs

    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copy(STARTERS["starter"] / name, folder / name)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    family, _ = get_model_and_args(config=config)
    made = family.ModelConfig.from_dict(json.loads(json.dumps(config)))
    made = update_module_configs(made, family, json.loads(json.dumps(config)), ["text", "vision", "projector"])
    mx.random.seed(seed)
    save_weights(folder, family.Model(made))
    return folder
