"""Making a model trainable: what is learned is laid beside its weights (LoRA, DoRA), or is the weights themselves."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from adapters.errors import InvalidRequest, UnsupportedModel
from adapters.mlx.lora.layers import language_of, put_layers
from adapters.protocol.training import Train

# What an adapter's file may hold of a layer (adapters/lora/check.py).
_ADAPTERS_PARTS = {"lora_a", "lora_b", "m"}


def make_trainable(model: Any, work: Train) -> int:
    """Freeze the model but for what is to be learned. Return the number of values that are.

    The same seed gives the same beginning. Raises InvalidRequest for layers that there are not, UnsupportedModel for a
    method that the model cannot be trained by.
    """
    speaking = language_of(model)
    count = len(speaking.layers)
    if work.layers is not None and work.layers > count:
        raise InvalidRequest(f"layers={work.layers}, and {work.model} has {count}; leave it out to train all")
    layers = work.layers or count
    try:
        model.freeze()
    except AttributeError as error:
        raise UnsupportedModel(
            f"{work.model} cannot be trained: its family's code is no whole module ({error}). Choose a model of another family"
        ) from error
    mx.random.seed(work.seed)
    if work.method == "full":
        _unfreeze(speaking, work, layers)
    else:
        try:
            put_layers(model, layers, lora_parameters(work), dora=work.method == "dora")
        except ValueError as error:
            raise UnsupportedModel(
                f"{work.model} cannot be trained by {work.method} ({error}); take method=lora"
            ) from error
        _check_that_it_runs(model, work)
    trainable: Any = tree_flatten(model.trainable_parameters())
    return sum(value.size for _, value in trainable)


def _check_that_it_runs(model: Any, work: Train) -> None:
    """Raise UnsupportedModel where the model's own code cannot do with layers of an adapter. Nothing is computed."""
    found: Any = tree_flatten(model.trainable_parameters())
    if strange := next((name for name, _ in found if name.rpartition(".")[2] not in _ADAPTERS_PARTS), None):
        raise UnsupportedModel(
            f"{work.model} cannot be trained by {work.method}: its family has layers of its own kind ({strange}), which adapters here do not hold. Choose a model of another family"
        )

    def total(model: Any) -> mx.array:
        out = language_forward(model)(mx.array([[0, 0]]))
        return getattr(out, "logits", out).sum()

    was = model.training
    model.train()  # some code is met in training alone
    try:
        nn.value_and_grad(model, total)(model)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise UnsupportedModel(
            f"{work.model} cannot be trained by {work.method}: its family's code does not work with such layers ({str(error)[:200]}). Choose a model of another family"
        ) from error
    finally:
        model.train(was)


def language_forward(model: Any) -> Any:
    """Return what computes logits from tokens [rows, length]: a text model, or the part of a vision model that writes."""
    return model.language_model if hasattr(model, "get_input_embeddings") else model


def lora_parameters(work: Train) -> dict[str, Any]:
    """Return what mlx_lm's adapter_config.json calls so."""
    return {"rank": work.rank, "scale": work.scale, "dropout": work.dropout}


def _unfreeze(model: Any, work: Train, layers: int) -> None:
    modules: Any = model.leaf_modules()
    if any(
        isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding)
        for _, module in tree_flatten(modules, is_leaf=nn.Module.is_module)
    ):
        raise UnsupportedModel(
            f"{work.model} is quantised, and quantised weights cannot be trained themselves; take method=lora, or the model in bfloat16"
        )
    for layer in model.layers[-layers:]:
        layer.unfreeze()


def trained_weights(model: Any) -> dict[str, mx.array]:
    """Return what was learned, by name, as `adapters.safetensors` holds it."""
    found: Any = tree_flatten(model.trainable_parameters())
    return dict(found)


def checkpoint_gradients(model: Any) -> None:
    """Have each layer's inner values computed again for the gradient, in place of keeping them: less memory, more time.

    Changes the layer's class for this process, which is the trainer's own.
    """
    for kind in {type(layer) for layer in language_of(model).layers}:
        kind.__call__ = _checkpointed(kind.__call__)


def _checkpointed(call: Any) -> Any:
    def again(layer: Any, *given: Any, **named: Any) -> Any:
        def inner(parameters: Any, *arrays: Any, **more: Any) -> Any:
            layer.update(parameters)
            return call(layer, *arrays, **more)

        return mx.checkpoint(inner)(layer.trainable_parameters(), *given, **named)

    return again
