"""Examples in batches of like length, in an order that depends on the seed and the place alone: a resumed run sees the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from adapters.mlx.training.examples import Example

# Lengths are made up to a multiple of this, so that few shapes are computed.
_STEP = 32


@dataclass(frozen=True)
class Batch:
    """Padded examples. What is predicted: `targets` [m], at `places` [m] of the flattened inputs [rows * length].

    `weights` [m] is 1 for a learned token and 0 for what only fills the shape up. `embedded` is what a model that sees
    takes in place of the inputs.
    """

    inputs: mx.array
    places: mx.array
    targets: mx.array
    weights: mx.array
    learned: int
    embedded: dict[str, Any] | None = None


def plan(examples: Sequence[Example], batch_size: int) -> list[list[int]]:
    """Return which examples go together: neighbours by length, every one of them once."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i]))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def place_of(batches: int, step: int, seed: int) -> int:
    """Return which batch comes at this step, counted from 0: each once an epoch, shuffled anew for every epoch."""
    epoch, place = divmod(step, batches)
    return int(np.random.default_rng([seed, epoch]).permutation(batches)[place])


def make_batch(examples: Sequence[Example], step: int = _STEP) -> Batch:
    """Return the arrays of some examples, their length made up to a multiple of `step`."""
    length = _up(max(len(example) for example in examples) - 1, step)
    inputs = np.zeros((len(examples), length), np.int32)
    places, targets = list[np.ndarray](), list[np.ndarray]()
    for row, example in enumerate(examples):
        inputs[row, : len(example) - 1] = example.tokens[:-1]
        learned = np.flatnonzero(example.learned[1:])
        places.append(row * length + learned)
        targets.append(example.tokens[1:][learned])
    count = sum(len(one) for one in places)
    filled = _up(count)
    weights = np.zeros(filled, np.float32)
    weights[:count] = 1
    return Batch(mx.array(inputs), _filled(places, filled), _filled(targets, filled), mx.array(weights), count)


def padded_tokens(examples: Sequence[Example], batches: Sequence[Sequence[int]]) -> int:
    """Return what an epoch computes, padding included."""
    return sum(len(batch) * _up(max(len(examples[i]) for i in batch) - 1) for batch in batches)


def _filled(parts: list[np.ndarray], length: int) -> mx.array:
    whole = np.zeros(length, np.int32)
    joined = np.concatenate(parts)
    whole[: len(joined)] = joined
    return mx.array(whole)


def _up(count: int, step: int = _STEP) -> int:
    return max(step, (count + step - 1) // step * step)
