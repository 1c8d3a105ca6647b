"""Adapters within a loaded model: its layers add, for each row of a batch, what that row's adapter has learned.

Everything here runs on the MLX thread. A layer that an adapter changes is wrapped once. Before a forward pass the runner
says whose rows it is for (`use`); rows of different adapters and of none then go through one pass. Rows that all use one
adapter are computed as mlx_lm's own LoRA layers do; a mixed batch gathers each row's matrices from a stack.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from adapters.lora.check import AdapterFiles
from adapters.mlx.adapter_weights import Weights, base_of, check_against, kind_of, read_weights

if TYPE_CHECKING:
    from adapters.mlx.row import Row


# From so many on the tokens are sorted by expert (mlx_lm/models/switch_layers.py).
_SORTED_FROM = 64


@dataclass(eq=False)
class LoadedAdapter:
    """An adapter in memory. While `leases` is above 0 it stays, whatever becomes of its files."""

    digest: str
    scale: float
    rank: int
    weights: dict[str, Weights]
    bytes: int
    leases: int = 0
    used: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Stack:
    """The matrices of several adapters for one layer, ranks made up with zeros; place 0 is the base: all zeros."""

    a: mx.array
    b: mx.array


class AdapterSlots:
    """The adapters of one loaded model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._adapters: dict[str, LoadedAdapter] = {}
        # The adapters that stacks are made of now, in order; a batch that needs no others uses the same stacks.
        self._stacked: list[LoadedAdapter] = []
        self._stacks: dict[str, _Stack | None] = {}
        # Of the forward pass that comes next.
        self.one: LoadedAdapter | None = None
        self.places: mx.array | None = None
        self.scales: mx.array | None = None
        self._expert_rows: mx.array | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "AdapterSlots":
        """A copy of the model takes its layers out of these slots; until then it shares them."""
        return self

    @property
    def nbytes(self) -> int:
        stacks = sum(stack.a.nbytes + stack.b.nbytes for stack in self._stacks.values() if stack)
        return stacks + sum(adapter.bytes for adapter in self._adapters.values())

    # --- coming and going

    def find(self, digest: str) -> LoadedAdapter | None:
        """The adapter with a lease on it, if it is in memory."""
        adapter = self._adapters.get(digest)
        if adapter:
            adapter.leases += 1
            adapter.used = time.monotonic()
        return adapter

    def load(self, files: AdapterFiles) -> LoadedAdapter:
        """Bring an adapter in, checked against the model, with a lease on it. Raises BadAdapter before anything changes."""
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
        """Drop adapters that nothing uses, those used longest ago first, until `keep` are left; gives their bytes."""
        idle = sorted((one for one in self._adapters.values() if not one.leases), key=lambda one: one.used)
        gone = idle[: max(0, len(self._adapters) - keep)]
        for adapter in gone:
            del self._adapters[adapter.digest]
        if any(adapter in self._stacked for adapter in gone):
            self._restack([])
        return sum(adapter.bytes for adapter in gone)

    def _wrap(self, names: Iterable[str]) -> None:
        modules = dict(self._model.named_modules())
        wrapped = [(name, _slot(modules[name], name, self)) for name in names if not isinstance(modules[name], _Slot)]
        if wrapped:
            self._model.update_modules(tree_unflatten(wrapped))
        for name in names:
            parent = modules[name.rpartition(".")[0]]
            if kind_of(modules[name]) == "experts" and not isinstance(parent, _ManyExperts):
                parent.__class__ = type(f"Slots{type(parent).__name__}", (_ManyExperts, type(parent)), {})
                parent._slots = [self]

    # --- forward passes

    def use(self, rows: Sequence["Row"]) -> None:
        """Say whose rows the next forward pass is for, in order."""
        adapters = [row.adapter for row in rows]
        self.one = self.places = self.scales = self._expert_rows = None
        if not any(adapters):
            return
        if all(adapter is adapters[0] for adapter in adapters):
            self.one = adapters[0]
            return
        known = [adapter for adapter in dict.fromkeys(adapters) if adapter is not None]
        if any(adapter not in self._stacked for adapter in known):
            self._restack(known)
        place = {None: 0} | {adapter: i for i, adapter in enumerate(self._stacked, 1)}
        self.places = mx.array([place[adapter] for adapter in adapters], mx.uint32)
        self.scales = mx.array([adapter.scale if adapter else 0.0 for adapter in adapters])

    def _restack(self, needed: list[LoadedAdapter]) -> None:
        """Stack these, and those of the last stack that are still in use."""
        others = [one for one in self._stacked if one.leases and one not in needed]
        self._stacked = needed + others if needed else []
        self._stacks.clear()

    def note_experts(self, indices: mx.array) -> None:
        """Note whose each token is that goes to an expert; mlx_lm sorts them by expert from 64 on."""
        if self.places is None:
            return
        each = indices.size // len(self.places)
        rows = mx.repeat(mx.arange(len(self.places)), each)
        self._expert_rows = rows[mx.argsort(indices.flatten())] if indices.size >= _SORTED_FROM else rows

    def expert_rows(self, indices: mx.array) -> tuple[mx.array, mx.array]:
        """Place and scale for each of the experts' numbers."""
        assert self.places is not None
        assert self.scales is not None
        assert self._expert_rows is not None
        rows = self._expert_rows.reshape(indices.shape)
        return self.places[rows], self.scales[rows]

    def of_one(self, name: str) -> tuple[Weights, float] | None:
        """The matrices of a layer when all rows use one adapter that has some for it."""
        assert self.one is not None
        weights = self.one.weights.get(name)
        return (weights, self.one.scale) if weights is not None else None

    def stack(self, name: str) -> _Stack | None:
        """The matrices of a layer for every adapter of a mixed batch; None when none of them changes it."""
        if name not in self._stacks:
            self._stacks[name] = _stacked([adapter.weights.get(name) for adapter in self._stacked])
        return self._stacks[name]


def unwrapped(model: Any) -> Any:
    """The model with its own layers again, in place of those that hold slots."""
    slots = [(name, base_of(module)) for name, module in model.named_modules() if isinstance(module, _Slot)]
    for _, module in model.named_modules():
        if isinstance(module, _ManyExperts):
            module.__class__ = type(module).__mro__[2]
    if slots:
        model.update_modules(tree_unflatten(slots))
    return model


def _stacked(weights: list[Weights | None]) -> _Stack | None:
    present = [one for one in weights if one is not None]
    if not present:
        return None
    rank = max(one.rank for one in present)
    zeros = present[0].zeros(rank)
    padded = [zeros, *(one.padded(rank) if one is not None else zeros for one in weights)]
    stack = _Stack(mx.stack([one.a for one in padded]), mx.stack([one.b for one in padded]))
    mx.eval(stack.a, stack.b)
    return stack


# --- layers


class _Slot(nn.Module):
    """A layer with what adapters add to it."""

    def __init__(self, base: Any, name: str, slots: AdapterSlots) -> None:
        super().__init__()
        self.base = base
        self._name = name
        self._slots = [slots]  # in a list, so that it is no part of the module tree

    @property
    def slots(self) -> AdapterSlots:
        return self._slots[0]

    def __call__(self, x: mx.array, *more: Any, **named: Any) -> mx.array:
        y = self.base(x, *more, **named)
        slots = self.slots
        if slots.one is not None:
            found = slots.of_one(self._name)
            if found is None:
                return y
            weights, scale = found
            return y + (scale * self._added(x, weights, *more, **named)).astype(y.dtype)
        if slots.places is None:
            return y
        stack = slots.stack(self._name)
        return y if stack is None else y + self._mixed(x, stack, *more, **named).astype(y.dtype)

    def _added(self, x: mx.array, weights: Weights, *more: Any, **named: Any) -> mx.array:
        """What one adapter adds for all rows, as mlx_lm computes it."""
        raise NotImplementedError

    def _mixed(self, x: mx.array, stack: _Stack, *more: Any, **named: Any) -> mx.array:
        """What each row's adapter adds, scaled."""
        raise NotImplementedError


class SlotLinear(_Slot):
    """A linear layer: x [rows, ..., in] -> [rows, ..., out]."""

    def _added(self, x: mx.array, weights: Weights) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (x @ weights.a) @ weights.b

    def _mixed(self, x: mx.array, stack: _Stack) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _gathered(self.slots, x, stack.a, stack.b)


class SlotEmbedding(_Slot):
    """An embedding, also where it serves as the head."""

    def _added(self, x: mx.array, weights: Weights) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return weights.a[x] @ weights.b

    def _mixed(self, x: mx.array, stack: _Stack) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        places, scales = _per_row(self.slots, x.shape[0])
        inner = stack.a[places.reshape(-1, *[1] * (x.ndim - 1)), x]
        added = mx.gather_mm(inner, stack.b, rhs_indices=places)
        return added * scales.reshape(-1, *[1] * (added.ndim - 1))

    def as_linear(self, x: mx.array) -> mx.array:
        """The embedding as the head: x [rows, length, width] -> [rows, length, vocabulary]."""
        y, slots = self.base.as_linear(x), self.slots
        if slots.one is not None:
            found = slots.of_one(self._name)
            if found is None:
                return y
            weights, scale = found
            return y + (scale * ((x @ weights.b.T) @ weights.a.T)).astype(y.dtype)
        stack = slots.stack(self._name) if slots.places is not None else None
        if stack is None:
            return y
        return y + _gathered(slots, x, stack.b.swapaxes(-1, -2), stack.a.swapaxes(-1, -2)).astype(y.dtype)


class SlotExperts(_Slot):
    """The experts of a layer: x [..., 1, in] with the experts' numbers [...] that each is for."""

    def _added(self, x: mx.array, weights: Weights, indices: mx.array, sorted_indices: bool = False) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        order: dict[str, Any] = {"rhs_indices": indices, "sorted_indices": sorted_indices}
        return mx.gather_mm(mx.gather_mm(x, weights.a.swapaxes(-1, -2), **order), weights.b.swapaxes(-1, -2), **order)

    def _mixed(self, x: mx.array, stack: _Stack, indices: mx.array, sorted_indices: bool = False) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        del sorted_indices  # by expert they are, by adapter and expert not
        slots, experts = self.slots, stack.a.shape[1]
        places, scales = slots.expert_rows(indices)
        chosen = places * experts + indices
        a, b = (part.flatten(0, 1).swapaxes(-1, -2) for part in (stack.a, stack.b))
        added = mx.gather_mm(mx.gather_mm(x, a, rhs_indices=chosen), b, rhs_indices=chosen)
        return added * scales[..., None, None]


class _ManyExperts:
    """Put before the class of a layer's experts: notes whose each token is, before the tokens are sorted by expert."""

    _slots: list[AdapterSlots]

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        self._slots[0].note_experts(indices)
        return super().__call__(x, indices)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def _slot(module: Any, name: str, slots: AdapterSlots) -> _Slot:
    kinds = {"linear": SlotLinear, "embedding": SlotEmbedding, "experts": SlotExperts}
    return kinds[kind_of(module) or "linear"](module, name, slots)


def _per_row(slots: AdapterSlots, count: int) -> tuple[mx.array, mx.array]:
    """Place and scale for each of `count` first dimensions: rows, or rows whose tokens were laid out one by one."""
    assert slots.places is not None
    assert slots.scales is not None
    rows = len(slots.places)
    if count == rows:
        return slots.places, slots.scales
    if count % rows:
        raise RuntimeError(f"{rows} rows cannot be told apart among {count}")
    return mx.repeat(slots.places, count // rows), mx.repeat(slots.scales, count // rows)


def _gathered(slots: AdapterSlots, x: mx.array, a: mx.array, b: mx.array) -> mx.array:
    """(x @ a @ b) * scale with each row's matrices: a [places, in, rank], b [places, rank, out]."""
    places, scales = _per_row(slots, x.shape[0])
    rows = x.reshape(x.shape[0], -1, x.shape[-1])
    added = mx.gather_mm(mx.gather_mm(rows, a, rhs_indices=places), b, rhs_indices=places)
    return (added * scales[:, None, None]).reshape(*x.shape[:-1], added.shape[-1])
