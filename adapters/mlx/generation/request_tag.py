"""A cache entry that says which request each row of a batch belongs to.

`BatchGenerator` hands the model a list of caches and reorders, splits and joins its rows by the caches' own methods. One
entry more, at the end of the list, goes through all of that with the rows, so that the forward pass and the sampler know
whose row is whose. The model itself never sees it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx
from mlx_lm.models.cache import _BaseCache  # pyright: ignore[reportPrivateUsage]

if TYPE_CHECKING:
    from adapters.mlx.generation.request import GenerationRequest
    from adapters.mlx.lora.slots import AdapterSlots


class RowTag(_BaseCache):
    """The requests of a batch's rows, in order."""

    def __init__(self, rows: Sequence["GenerationRequest"]) -> None:
        self.rows = list(rows)

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowTag":
        """Batches are split by deep copies: the rows stay the same requests."""
        return RowTag(self.rows)

    @property
    def state(self) -> list[Any]:
        return []

    @state.setter
    def state(self, v: Any) -> None:
        pass

    @property
    def nbytes(self) -> int:
        return 0

    @classmethod
    def merge(cls, caches: Sequence["RowTag"]) -> "RowTag":
        return cls([request for cache in caches for request in cache.rows])

    def extend(self, other: "RowTag") -> None:
        self.rows = self.rows + other.rows

    def filter(self, batch_indices: Sequence[int] | mx.array) -> None:
        self.rows = [self.rows[int(i)] for i in batch_indices]

    def extract(self, idx: int) -> "RowTag":
        return RowTag([self.rows[idx]])

    def is_trimmable(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        return True

    def trim(self, n: int) -> int:
        return n

    def empty(self) -> bool:
        return False

    def size(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 0

    def prepare(self, **_: Any) -> None:
        pass

    def finalize(self) -> None:
        pass


class TaggedModel:
    """The model as `BatchGenerator` calls it: takes the tag off the caches, and keeps it for adapters and the sampler.

    Used on the MLX thread. `rows` are the rows of the latest forward pass.
    """

    def __init__(self, model: Any, slots: "AdapterSlots") -> None:
        self.model, self._slots = model, slots
        self.rows: list[GenerationRequest] = []

    @property
    def layers(self) -> Any:
        return self.model.layers

    def forward(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Return the model alone, whatever adapters it holds, for rows that are nobody's."""
        self._slots.use([None] * tokens.shape[0])
        return self.model(tokens, cache=cache)

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        self.rows = cache[-1].rows
        self._slots.use([request.adapter for request in self.rows])
        return self.model(tokens, cache=cache[:-1])
