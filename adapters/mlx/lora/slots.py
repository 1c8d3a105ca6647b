"""The LoRA adapters within a loaded model: which are in memory, and which layers of the model hold them.

Everything here runs on the MLX thread.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from mlx.utils import tree_unflatten

from adapters.lora.check import AdapterFiles
from adapters.mlx.lora.layers import AdapterLayer, LoadedAdapter, ManyExperts, RowAdapters, base_of, kind_of, wrapped
from adapters.mlx.lora.weights import check_against, read_weights


class AdapterSlots:
    """The LoRA adapters of one loaded model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._adapters: dict[str, LoadedAdapter] = {}
        self._rows = RowAdapters()

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + sum(adapter.bytes for adapter in self._adapters.values())

    def use(self, adapters: Sequence[LoadedAdapter | None]) -> None:
        """Set the adapter of each row of the next forward pass, in order; None is the model alone."""
        self._rows.use(adapters)

    def find(self, digest: str) -> LoadedAdapter | None:
        """Return the adapter with a lease on it, if it is in memory."""
        adapter = self._adapters.get(digest)
        if adapter:
            adapter.leases += 1
            adapter.used = time.monotonic()
        return adapter

    def load(self, files: AdapterFiles) -> LoadedAdapter:
        """Load an adapter, checked against the model, with a lease on it. Raises BadAdapter before anything changes."""
        if found := self.find(files.digest):
            return found
        check_against(self._model, files)
        weights = read_weights(files)
        adapter = LoadedAdapter(files.digest, files.scale, files.rank, weights, files.bytes, leases=1)
        self._wrap(weights)
        self._adapters[files.digest] = adapter
        return adapter

    def release(self, adapter: LoadedAdapter) -> None:
        """Give a lease back."""
        adapter.leases -= 1
        adapter.used = time.monotonic()

    def drop_idle(self, keep: int = 0) -> int:
        """Drop adapters that nothing uses, least recently used first, until `keep` are left. Return their bytes."""
        idle = sorted((one for one in self._adapters.values() if not one.leases), key=lambda one: one.used)
        gone = idle[: max(0, len(self._adapters) - keep)]
        for adapter in gone:
            del self._adapters[adapter.digest]
        self._rows.forget(gone)
        return sum(adapter.bytes for adapter in gone)

    def _wrap(self, names: Iterable[str]) -> None:
        modules = dict(self._model.named_modules())
        new = [name for name in names if not isinstance(modules[name], AdapterLayer)]
        if new:
            self._model.update_modules(
                tree_unflatten([(name, wrapped(modules[name], name, self._rows)) for name in new])
            )
        for name in names:
            if kind_of(modules[name]) != "experts":
                continue
            parent = modules[name.rpartition(".")[0]]
            if not isinstance(parent, ManyExperts):
                parent.__class__ = type(f"Slots{type(parent).__name__}", (ManyExperts, type(parent)), {})
                parent.adapter_rows = [self._rows]


def unwrapped(model: Any) -> Any:
    """Return the model with its own layers again, in place of those that hold adapters."""
    own = [(name, base_of(module)) for name, module in model.named_modules() if isinstance(module, AdapterLayer)]
    for _, module in model.named_modules():
        if isinstance(module, ManyExperts):
            module.__class__ = type(module).__mro__[2]
    if own:
        model.update_modules(tree_unflatten(own))
    return model
