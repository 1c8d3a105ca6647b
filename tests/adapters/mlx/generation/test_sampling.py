"""Choosing tokens: each row by its own options and seed, whatever else is in the batch."""

from collections import Counter

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

from adapters.mlx.generation.request import GenerationRequest
from adapters.mlx.generation.sampling import BatchSampler
from adapters.mlx.text.answer import AnswerText, Markers
from adapters.protocol.generation import Sampling

VOCABULARY = 50


def row(seed: int = 0, **options: float) -> GenerationRequest:
    sampling = Sampling(**options)  # pyright: ignore[reportArgumentType]
    return GenerationRequest([1], 10, sampling, seed, AnswerText(Markers()), "", lambda *_: None)


def logprobs(rows: int, seed: int = 0) -> mx.array:
    logits = mx.random.normal((rows, VOCABULARY), key=mx.random.key(seed)) * 2
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def draw(rows: list[GenerationRequest], values: mx.array) -> list[int]:
    return BatchSampler(lambda: rows)(values).tolist()  # pyright: ignore[reportReturnType]


def test_a_temperature_of_zero_takes_the_likeliest() -> None:
    values = logprobs(3)
    assert draw([row(), row(), row()], values) == mx.argmax(values, axis=-1).tolist()


def test_a_row_draws_the_same_in_any_batch() -> None:
    values = logprobs(5)
    alone = [draw([row(seed=9, temperature=1.0, top_p=0.9)], values[2:3])[0] for _ in range(3)]
    others = [
        row(seed=1, temperature=2.0),
        row(),
        row(seed=9, temperature=1.0, top_p=0.9),
        row(seed=3, temperature=0.5, top_k=4),
        row(),
    ]
    assert draw(others, values)[2] == alone[0] == alone[1]


def test_rows_of_one_batch_with_one_seed_draw_alike() -> None:
    values = mx.repeat(logprobs(1), 2, axis=0)
    first, second = draw([row(seed=4, temperature=1.0), row(seed=4, temperature=1.0)], values)
    assert first == second


def test_successive_draws_differ() -> None:
    values, one = logprobs(1) * 0, row(seed=4, temperature=1.0)
    assert len({draw([one], values)[0] for _ in range(20)}) > 5


def test_draws_follow_the_probabilities() -> None:
    values = mx.log(mx.array([[0.5, 0.3, 0.2]]))
    counts = Counter(draw([row(seed=seed, temperature=1.0)], values)[0] for seed in range(2000))
    assert np.allclose([counts[i] / 2000 for i in range(3)], [0.5, 0.3, 0.2], atol=0.04)


def test_a_lower_temperature_sharpens() -> None:
    values = mx.log(mx.array([[0.6, 0.4]]))
    cold = sum(draw([row(seed=seed, temperature=0.2)], values)[0] for seed in range(300))
    assert cold < 60  # (0.4 / 0.6) ** 5 is 0.13 to 1


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"top_k": 5}, lambda x: apply_top_k(x, 5)),
        ({"top_p": 0.6}, lambda x: apply_top_p(x, 0.6)),
        ({"min_p": 0.2}, lambda x: apply_min_p(x, 0.2)),
        ({"top_k": 3, "top_p": 0.8, "min_p": 0.05}, lambda x: apply_top_k(apply_min_p(apply_top_p(x, 0.8), 0.05), 3)),
    ],
)
def test_filters_keep_the_tokens_that_mlx_lm_keeps(options: dict[str, float], reference: object) -> None:
    values = logprobs(1, seed=7)
    kept = set(np.flatnonzero(np.isfinite(np.array(reference(values))[0])).tolist())  # pyright: ignore[reportCallIssue]
    drawn = {draw([row(seed=seed, temperature=5.0, **options)], values)[0] for seed in range(600)}
    assert drawn == kept


def test_options_of_one_row_do_not_reach_another() -> None:
    values = logprobs(2, seed=3)
    narrow = {draw([row(seed=s, temperature=5.0, top_k=1), row(seed=s, temperature=5.0)], values)[0] for s in range(50)}
    wide = {draw([row(seed=s, temperature=5.0, top_k=1), row(seed=s, temperature=5.0)], values)[1] for s in range(50)}
    assert len(narrow) == 1
    assert len(wide) > 10
