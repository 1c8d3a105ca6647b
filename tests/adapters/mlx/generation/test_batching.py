"""What the rows of a model may share is found by trying it, before a second request joins a first."""

from pathlib import Path
from typing import Any

import pytest
from mlx_lm import load
from mlx_lm.models.cache import (
    ArraysCache,
    CacheList,
    ChunkedKVCache,
    KVCache,
    RotatingKVCache,
    make_prompt_cache,
)

from adapters.mlx.generation.batching import (
    ONE_BY_ONE,
    Batching,
    can_be_masked,
    can_be_merged,
    can_be_trimmed,
    how_batched,
    one_row,
)
from tests.families.cases import CASES


def found(family: str, folder: Path) -> Batching:
    model, tokenizer, *_ = load(str(CASES[family].checkpoint(folder)))
    return how_batched(lambda tokens, cache: model(tokens, cache=cache), lambda: make_prompt_cache(model), tokenizer)


@pytest.mark.parametrize("family", ["llama", "qwen3_5", "gemma3_text", "mamba2"])
def test_families_that_mask_padding_are_padded(family: str, tmp_path: Path) -> None:
    assert found(family, tmp_path) == Batching(rows=True, padding=True)


@pytest.mark.parametrize("family", ["nemotron_h", "mamba", "rwkv7", "jamba", "bailing_moe_linear"])
def test_families_whose_state_takes_padding_for_words_are_not_padded(family: str, tmp_path: Path) -> None:
    assert found(family, tmp_path) == Batching(rows=True, padding=False)


@pytest.mark.parametrize("family", ["gemma2", "llama4"])
def test_families_that_compute_one_row_only_get_one_row(family: str, tmp_path: Path) -> None:
    assert found(family, tmp_path) == ONE_BY_ONE


def test_a_model_that_fails_at_being_tried_gets_one_row() -> None:
    def broken(tokens: Any, cache: Any) -> Any:
        raise ValueError("no")

    class Tokenizer:
        def encode(self, text: str) -> list[int]:
            return list(range(30))

    assert how_batched(broken, lambda: [KVCache()], Tokenizer()) == ONE_BY_ONE


def test_only_caches_that_keep_every_token_can_be_trimmed_however_empty_they_are() -> None:
    assert can_be_trimmed([KVCache(), CacheList(KVCache(), KVCache())])
    for kind in (RotatingKVCache(8), ChunkedKVCache(8), ArraysCache(2), CacheList(KVCache(), ArraysCache(2))):
        assert not can_be_trimmed([KVCache(), kind])


def test_kinds_of_caches_are_told_apart_by_what_a_batch_does_with_them() -> None:
    assert can_be_masked([KVCache(), RotatingKVCache(8)])
    assert not can_be_masked([CacheList(KVCache(), ArraysCache(2))])
    assert can_be_merged([KVCache(), CacheList(ArraysCache(2))])
    assert not can_be_merged([CacheList(ChunkedKVCache(8))])


def test_a_cache_for_one_row_refuses_a_second() -> None:
    entry: Any = one_row([ChunkedKVCache(8)])[0]
    assert ChunkedKVCache in type(entry).__mro__
    assert entry.merge([entry]) is entry
    assert not entry.is_trimmable()  # its beginning may be gone
    with pytest.raises(ValueError, match="one row"):
        entry.merge([entry, entry])
    with pytest.raises(ValueError, match="one row"):
        entry.extend(entry)
