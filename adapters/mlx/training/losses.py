"""The loss: cross-entropy of the learned tokens, computed for those places only.

Most of what a large vocabulary costs in training is logits that no loss looks at: those of prompts and of padding. Where
a model's head can be called apart, it is given the learned places alone.
"""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from adapters.mlx.training.batches import Batch

# (model, inputs [rows, length], places [m]) -> logits [m, vocabulary]
Logits = Callable[[Any, mx.array, mx.array], mx.array]

_TOLERANCE = 1e-2


def choose_logits(model: Any) -> Logits:
    """The cheapest way to this model's logits that gives what the model itself gives, tried on a few tokens."""
    try:
        tokens = mx.array([[1, 2, 3, 4]])
        places = mx.array([0, 2])
        ours, whole = _logits_of_places(model, tokens, places), _logits_of_all(model, tokens, places)
        if ours.shape == whole.shape and number(mx.abs(ours - whole).max()) <= _TOLERANCE * number(mx.abs(whole).max()):
            return _logits_of_places
    except (AttributeError, TypeError, ValueError):
        pass  # a model of another build: all logits are computed, as the library does
    return _logits_of_all


def _logits_of_places(model: Any, inputs: mx.array, places: mx.array) -> mx.array:
    hidden = model.model(inputs)
    chosen = hidden.reshape(-1, hidden.shape[-1])[places]
    if "lm_head" in model:
        return model.lm_head(chosen)
    return model.model.embed_tokens.as_linear(chosen)


def _logits_of_all(model: Any, inputs: mx.array, places: mx.array) -> mx.array:
    out = model(inputs)
    logits = getattr(out, "logits", out)
    return logits.reshape(-1, logits.shape[-1])[places]


def loss_sum(model: Any, logits: Logits, batch: Batch) -> mx.array:
    """The cross-entropy of all learned tokens of a batch together, in float32."""
    found = nn.losses.cross_entropy(logits(model, batch.inputs, batch.places).astype(mx.float32), batch.targets)
    return (found * batch.weights).sum()


def number(value: mx.array) -> float:
    """An array of one value as that value."""
    found: Any = value.item()
    return float(found)
