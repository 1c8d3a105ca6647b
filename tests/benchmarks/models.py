"""The model that speeds are measured on: random weights, large enough that a token takes over 20 ms here."""

import time
from pathlib import Path
from typing import Any

from mlx_lm import load, stream_generate

from tests.tiny_models import random_qwen3

SLOWEST_TOKEN = 0.020
_WIDTHS = (512, 768, 1024, 1536, 2048)


def slow_model(folder: Path) -> tuple[Path, Any, Any, float]:
    """The first model whose token takes long enough: its folder, itself, its tokenizer, seconds a token."""
    for width in _WIDTHS:
        path = random_qwen3(
            folder / str(width),
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=8,
            num_attention_heads=width // 64,
            num_key_value_heads=width // 128,
            head_dim=64,
        )
        model, tokenizer, *_ = load(str(path))
        count = len(list(stream_generate(model, tokenizer, [5, 6, 7], max_tokens=4)))  # pyright: ignore[reportArgumentType]
        started = time.perf_counter()
        count = len(list(stream_generate(model, tokenizer, [5, 6, 7], max_tokens=12)))  # pyright: ignore[reportArgumentType]
        token = (time.perf_counter() - started) / count
        if token >= SLOWEST_TOKEN:
            return path, model, tokenizer, token
    raise RuntimeError("this machine is too fast for every model here; widen one")
