"""Telling that memory ran out from other errors."""

import mlx.core as mx
import pytest

from adapters.mlx.allocation import allocation_failed


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[malloc_or_wait] Unable to allocate 123 bytes."), RuntimeError("out of memory")],
)
def test_what_says_that_memory_could_not_be_had_is_an_allocation_that_failed(error: Exception) -> None:
    assert allocation_failed(error)


def test_other_errors_of_mlx_are_none() -> None:
    with pytest.raises((RuntimeError, ValueError)) as caught:
        mx.load("/nowhere.safetensors")
    assert not allocation_failed(caught.value)


@pytest.mark.parametrize("error", [ValueError("allocate"), RuntimeError("no such kernel")])
def test_an_error_that_says_nothing_of_memory_is_none(error: Exception) -> None:
    assert not allocation_failed(error)
