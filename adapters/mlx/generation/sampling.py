"""Choosing the next tokens of a whole batch in one go, each row by its own options and its own seed.

One sampler object serves every row, so `BatchGenerator` calls it once a step. A row's randomness comes from its seed and
the number of tokens it has drawn, never from shared state: what else is in the batch does not change what it draws.

The options mean what they mean in mlx_lm: top-p, min-p and top-k keep the tokens that pass each of them on the model's
own probabilities, then the temperature applies.
"""

from collections.abc import Callable, Sequence

import mlx.core as mx
import numpy as np

from adapters.mlx.generation.request import GenerationRequest

_EVERYTHING = -float("inf")


class BatchSampler:
    """Log-probabilities [rows, vocabulary] -> tokens [rows]. `rows` gives the rows of the forward pass just made."""

    def __init__(self, rows: Callable[[], Sequence[GenerationRequest]]) -> None:
        self._rows = rows

    def __call__(self, logprobs: mx.array) -> mx.array:
        rows = self._rows()
        if len(rows) != logprobs.shape[0]:
            raise RuntimeError(f"{logprobs.shape[0]} rows were computed, {len(rows)} are known")
        drawing = [i for i, request in enumerate(rows) if request.sampling.temperature > 0]
        likeliest = mx.argmax(logprobs, axis=-1)
        if not drawing:
            return likeliest
        if len(drawing) == len(rows):
            return _draw(logprobs, rows)
        index = mx.array(drawing)
        drawn = _draw(logprobs[index], [rows[i] for i in drawing])
        return mx.put_along_axis(likeliest, index, drawn.astype(likeliest.dtype), axis=0)


def _draw(logprobs: mx.array, rows: Sequence[GenerationRequest]) -> mx.array:
    """Gumbel's trick: the largest of (log-probability / temperature + noise) is a draw from the softmax."""
    x = logprobs.astype(mx.float32)
    x = mx.where(x < _thresholds(x, rows), _EVERYTHING, x)
    temperatures = mx.array([[request.sampling.temperature] for request in rows])
    keys = np.array([_key(request) for request in rows], dtype=np.uint32)
    size = x.shape[-1]
    noise = mx.vmap(lambda key: mx.random.gumbel((size,), key=key))(mx.array(keys))
    return mx.argmax(x / temperatures + noise, axis=-1)


def _key(request: GenerationRequest) -> tuple[int, int]:
    """Return the random key of this row's next draw."""
    step, request.sampled = request.sampled, request.sampled + 1
    mixed = (request.seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x2545F4914F6CDD1D) & (1 << 64) - 1
    mixed ^= mixed >> 29
    return mixed >> 32, mixed & 0xFFFFFFFF


def _thresholds(logprobs: mx.array, rows: Sequence[GenerationRequest]) -> mx.array:
    """For each row the lowest log-probability [rows, 1] that its top-p, min-p and top-k all keep."""
    vocabulary = logprobs.shape[-1]
    options = [request.sampling for request in rows]
    lowest = mx.full((len(rows), 1), _EVERYTHING)
    if any(option.min_p > 0 for option in options):
        margin = [[float(np.log(option.min_p)) if option.min_p > 0 else _EVERYTHING] for option in options]
        lowest = mx.maximum(lowest, mx.max(logprobs, axis=-1, keepdims=True) + mx.array(margin))
    if any(option.top_p < 1 or 0 < option.top_k < vocabulary for option in options):
        ascending = mx.sort(logprobs, axis=-1)
        last = mx.array(
            [[vocabulary - (option.top_k if 0 < option.top_k < vocabulary else vocabulary)] for option in options]
        )
        lowest = mx.maximum(lowest, mx.take_along_axis(ascending, last, axis=-1))
        if any(option.top_p < 1 for option in options):
            probabilities = mx.exp(ascending)
            above = mx.cumsum(probabilities, axis=-1, reverse=True, inclusive=False)
            mass = mx.array([[option.top_p] for option in options]) * probabilities.sum(axis=-1, keepdims=True)
            dropped = mx.minimum((above >= mass).sum(axis=-1, keepdims=True), vocabulary - 1)
            kept = mx.take_along_axis(ascending, dropped, axis=-1)
            every = mx.array([[option.top_p >= 1] for option in options])
            lowest = mx.maximum(lowest, mx.where(every, _EVERYTHING, kept))
    return lowest
