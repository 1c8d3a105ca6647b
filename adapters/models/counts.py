"""Whether a configuration's counts can be true of the tensors that are there.

A library makes every layer and expert that a configuration asks for, before it looks at the weights: twenty million
layers keep a machine busy for an hour.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.errors import UnsupportedModel

# How families call the number of their layers. Each layer has a tensor of its own.
_LAYERS = frozenset(
    {
        "decoder_layers", "depth", "encoder_layers", "n_audio_layer", "n_layer", "n_layers", "n_text_layer",
        "num_decoder_layers", "num_encoder_layers", "num_hidden_layers", "num_layers",
    }
)  # fmt: skip
# The tensors of experts may be stacked, so that their number says nothing. No model has a hundredth of this.
_MOST_EXPERTS = 100_000


def check_counts(folder: Path, config: dict[str, Any], tensors: int) -> None:
    """Raise UnsupportedModel that names the first number in a configuration that asks for more than there can be."""
    for name, value in _numbers(config):
        if name in _LAYERS and value > tensors:
            raise UnsupportedModel(
                f"{folder / 'config.json'} says {name} {value}, and the weights have {tensors} tensors; download the model again"
            )
        if "expert" in name and value > _MOST_EXPERTS:
            raise UnsupportedModel(
                f"{folder / 'config.json'} says {name} {value}, and {_MOST_EXPERTS} are the most; download the model again"
            )


def _numbers(config: Any) -> Iterator[tuple[str, int]]:
    """Yield each whole number of a configuration under its name, at any depth."""
    if isinstance(config, dict):
        for name, value in config.items():
            if isinstance(value, int) and not isinstance(value, bool):
                yield name, value
            else:
                yield from _numbers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value)
