"""Prompts already read."""

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, KVCache

from adapters.mlx.generation.prompt_cache import PromptCache

KILOBYTE_TOKENS = 256


def kv(tokens: int) -> list[Any]:
    """A cache of one layer that has read so many tokens: 64 bytes a token, in steps of 256 tokens."""
    cache = KVCache()
    cache.update_and_fetch(mx.zeros((1, 1, tokens, 8)), mx.zeros((1, 1, tokens, 8)))
    mx.eval(cache.state)
    return [cache]


def test_the_longest_known_prefix_is_found() -> None:
    cache = PromptCache(1 << 20)
    cache.store("m", "", [1, 2, 3, 4], kv(4))
    found, length = cache.fetch("m", "", [1, 2, 3, 9, 9])
    assert length == 3
    assert found is not None
    assert found[0].offset == 3


def test_a_prompt_known_to_its_last_token_leaves_one_to_compute() -> None:
    cache = PromptCache(1 << 20)
    cache.store("m", "", [1, 2, 3, 4], kv(4))
    found, length = cache.fetch("m", "", [1, 2, 3, 4])
    assert length == 3
    assert found is not None
    assert found[0].offset == 3


def test_an_exact_hit_that_cannot_be_trimmed_falls_back_to_a_checkpoint() -> None:
    cache = PromptCache(1 << 20)
    for count in (2, 4):
        state = ArraysCache(1)
        state[0] = mx.zeros((1, 4))
        cache.store("m", "", [1, 2, 3, 4][:count], [state])
    _, length = cache.fetch("m", "", [1, 2, 3, 4])
    assert length == 2


def test_adapters_and_models_never_mix() -> None:
    cache = PromptCache(1 << 20)
    cache.store("m", "", [1, 2, 3], kv(3))
    assert cache.fetch("m", "adapter", [1, 2, 3, 4]) == (None, 0)
    assert cache.fetch("other", "", [1, 2, 3, 4]) == (None, 0)


def test_what_is_fetched_is_a_copy() -> None:
    cache = PromptCache(1 << 20)
    cache.store("m", "", [1, 2, 3], kv(3))
    found, _ = cache.fetch("m", "", [1, 2, 3, 4])
    assert found is not None
    found[0].update_and_fetch(mx.ones((1, 1, 5, 8)), mx.ones((1, 1, 5, 8)))
    again, length = cache.fetch("m", "", [1, 2, 3, 4])
    assert again is not None
    assert (length, again[0].offset) == (3, 3)


def test_bytes_are_bounded_over_all_models() -> None:
    one = kv(10)[0].nbytes
    cache = PromptCache(3 * one)
    for number in range(10):
        cache.store(f"model-{number % 4}", "", [number, 1, 2, 3], kv(10))
    assert cache.nbytes <= 3 * one


def test_the_model_used_longest_ago_is_trimmed_first() -> None:
    one = kv(10)[0].nbytes
    cache = PromptCache(2 * one)
    cache.store("old", "", [1, 2, 3], kv(10))
    cache.store("new", "", [1, 2, 3], kv(10))
    cache.fetch("old", "", [1, 2, 3, 4])
    cache.store("third", "", [1, 2, 3], kv(10))
    assert cache.known_prefix("old", "", [1, 2, 3, 4]) == 3
    assert cache.known_prefix("new", "", [1, 2, 3, 4]) == 0


def test_a_cache_larger_than_the_bound_is_not_kept() -> None:
    cache = PromptCache(10)
    cache.store("m", "", [1, 2, 3], kv(3))
    assert cache.nbytes == 0


def test_a_dropped_model_leaves_nothing() -> None:
    cache = PromptCache(1 << 20)
    cache.store("m", "", [1, 2, 3], kv(3))
    cache.drop("m")
    assert cache.nbytes == 0
