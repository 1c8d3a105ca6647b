"""What a training will take, before any weight is read: memory from shapes, time from how fast this machine multiplies."""

import time
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from adapters.errors import DoesNotFit
from adapters.models.card import ModelCard, read_config
from adapters.protocol.training import Train

# Values that a layer keeps for the gradient, for each token: in units of the hidden size, and of the feed-forward's.
_KEPT_HIDDEN, _KEPT_FEED_FORWARD = 14, 4
# Gradient and Adam's two moments beside each learned value, in bytes.
_OPTIMIZER_BYTES = 12
_PROCESS_BYTES = 300 << 20
# Forward and backward through frozen weights; where the weights are learned too, half as much again.
_PASSES_FROZEN, _PASSES_FULL = 4, 6
# What an operation costs beside its arithmetic, in seconds, and how many a layer has, forward and backward.
_OVERHEAD, _OPERATIONS = 20e-6, 90


@dataclass(frozen=True)
class Sizes:
    """What the estimate needs to know of a model."""

    hidden: int
    feed_forward: int
    heads: int
    layers: int
    vocabulary: int
    value_bytes: int
    parameters: int

    @classmethod
    def of(cls, card: ModelCard) -> "Sizes":
        config = read_config(card.folder)
        text: dict[str, Any] = config.get("text_config") or config
        hidden = int(text.get("hidden_size") or text.get("d_model") or text.get("n_embd") or 1024)
        bits = (
            int((card.quantization or "16-bit").split("-")[0])
            if (card.quantization or "16").split("-")[0].isdigit()
            else 16
        )
        return cls(
            hidden=hidden,
            feed_forward=int(text.get("intermediate_size") or text.get("ffn_dim") or 4 * hidden),
            heads=int(text.get("num_attention_heads") or text.get("n_head") or 16),
            layers=int(text.get("num_hidden_layers") or text.get("n_layer") or 24),
            vocabulary=card.vocabulary,
            value_bytes=2,
            parameters=card.weight_bytes * 8 // bits,
        )


def memory(work: Train, sizes: Sizes, weight_bytes: int, trained: int, longest: int, learned: int) -> int:
    """Return bytes at the peak: weights, what is learned with its moments, and one batch's values kept for the
    gradient.

    `longest` is the longest example in tokens, `learned` the most learned tokens of a batch.
    """
    tokens = work.batch_size * longest
    layer = tokens * (_KEPT_HIDDEN * sizes.hidden + _KEPT_FEED_FORWARD * sizes.feed_forward)
    layer += work.batch_size * sizes.heads * longest * longest
    kept = sizes.layers * tokens * sizes.hidden + layer if work.gradient_checkpointing else sizes.layers * layer
    logits = 3 * learned * sizes.vocabulary * 4
    own = 0 if work.method == "full" else 4 * trained
    return int(weight_bytes + own + _OPTIMIZER_BYTES * trained + kept * sizes.value_bytes + logits + _PROCESS_BYTES)


def seconds(work: Train, sizes: Sizes, iterations: int, tokens_per_iteration: float, flops: float) -> float:
    """Return how long so many iterations take; a first guess, which the run itself corrects as it goes."""
    passes = _PASSES_FULL if work.method == "full" else _PASSES_FROZEN
    arithmetic = passes * sizes.parameters * tokens_per_iteration / flops
    overhead = _OVERHEAD * _OPERATIONS * sizes.layers * work.accumulate
    return iterations * (arithmetic + overhead) * (4 / 3 if work.gradient_checkpointing else 1)


def measured_flops(sizes: Sizes) -> float:
    """Operations a second of this machine, on a product like those of the model."""
    rows, width = 256, min(sizes.hidden, 2048)
    a, b = mx.ones((rows, width), mx.bfloat16), mx.ones((width, width), mx.bfloat16)
    mx.eval(a @ b)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.1:
        mx.eval(a @ b)
        count += 1
    return 2 * rows * width * width * count / (time.perf_counter() - began)


def check_fits(
    work: Train, needed: int, free: int, sizes: Sizes, weight_bytes: int, trained: int, longest: int, learned: int
) -> None:
    """Raise DoesNotFit with what would fit, when the memory is not there."""
    if needed <= free:
        return
    tried = [
        ("gradient_checkpointing=true", {"gradient_checkpointing": True}),
        (f"batch_size=1 and accumulate={work.batch_size * work.accumulate}", {"batch_size": 1}),
        ("both batch_size=1 and gradient_checkpointing=true", {"batch_size": 1, "gradient_checkpointing": True}),
    ]
    for words, change in tried:
        part = 1 / work.batch_size if "batch_size" in change else 1
        if memory(work.model_copy(update=change), sizes, weight_bytes, trained, longest, int(learned * part)) <= free:
            raise _too_large(work, needed, free, f"with {words} it would fit")
    for shorter in (1024, 512, 256):
        change = {"batch_size": 1, "gradient_checkpointing": True}
        if (
            shorter < longest
            and memory(work.model_copy(update=change), sizes, weight_bytes, trained, shorter, min(learned, shorter))
            <= free
        ):
            raise _too_large(
                work,
                needed,
                free,
                f"with max_sequence={shorter}, batch_size=1 and gradient_checkpointing=true it would fit",
            )
    raise _too_large(work, needed, free, "choose a smaller or more strongly quantised model, or close other programs")


def _too_large(work: Train, needed: int, free: int, way_out: str) -> DoesNotFit:
    return DoesNotFit(
        f"training {work.model} by {work.method} needs about {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free; {way_out}"
    )
