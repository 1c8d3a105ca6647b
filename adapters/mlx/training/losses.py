"""The loss: cross-entropy of the learned tokens, computed for those places only.

Most of what a large vocabulary costs in training is logits that no loss looks at: those of prompts and of padding. Where
a model's head can be called apart, it is given the learned places alone.
"""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from adapters.mlx.training.batches import Batch

# Of a model and a batch: logits [m, vocabulary] at its places.
Logits = Callable[[Any, Batch], mx.array]

_TOLERANCE = 1e-2


def choose_logits(model: Any) -> Logits:
    """Return the cheapest way to this model's logits that gives what the model itself gives, tried on a few tokens."""
    if hasattr(model, "get_input_embeddings"):
        return _logits_of_seen
    try:
        nothing = mx.zeros(2)
        few = Batch(mx.array([[1, 2, 3, 4]]), mx.array([0, 2]), nothing, nothing, 0)
        ours, whole = _logits_of_places(model, few), _logits_of_all(model, few)
        if ours.shape == whole.shape and number(mx.abs(ours - whole).max()) <= _TOLERANCE * number(mx.abs(whole).max()):
            return _logits_of_places
    except (AttributeError, TypeError, ValueError):
        pass  # a model of another build: all logits are computed, as the library does
    return _logits_of_all


def _logits_of_places(model: Any, batch: Batch) -> mx.array:
    hidden = model.model(batch.inputs)
    chosen = hidden.reshape(-1, hidden.shape[-1])[batch.places]
    if "lm_head" in model:
        return model.lm_head(chosen)
    return model.model.embed_tokens.as_linear(chosen)


def _logits_of_all(model: Any, batch: Batch) -> mx.array:
    return _at(model(batch.inputs), batch)


def _logits_of_seen(model: Any, batch: Batch) -> mx.array:
    """Return of a model that sees: its language model's, after what was made of pictures and words."""
    return _at(model.language_model(batch.inputs, **(batch.embedded or {})), batch)


def _at(out: Any, batch: Batch) -> mx.array:
    logits = getattr(out, "logits", out)
    return logits.reshape(-1, logits.shape[-1])[batch.places]


def loss_sum(model: Any, logits: Logits, batch: Batch) -> mx.array:
    """Return the cross-entropy of all learned tokens of a batch together, in float32."""
    found = nn.losses.cross_entropy(logits(model, batch).astype(mx.float32), batch.targets)
    return (found * batch.weights).sum()


def number(value: mx.array) -> float:
    """Return an array of one value as that value."""
    found: Any = value.item()
    return float(found)
