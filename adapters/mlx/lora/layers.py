"""The layers of a model that a LoRA adapter can change, and the layers that are put around them to hold LoRA adapters.

Everything here runs on the MLX thread, or on the one thread of a trainer. A layer that some adapter changes is wrapped
once. Before a forward pass `RowAdapters.use` is told the adapter of each row. Rows of different adapters and of none then go
through one pass. Rows that all use one adapter are computed as mlx_lm's own LoRA layers do. A mixed batch gathers each row's
matrices from a stack.

Shapes are those of mlx_lm's LoRA layers: of a linear layer `a` [in, rank] and `b` [rank, out], of experts `a`
[experts, rank, in] and `b` [experts, out, rank], of an embedding `a` [vocabulary, rank] and `b` [rank, out].
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.utils import linear_to_lora_layers

Kind = Literal["linear", "experts", "embedding"]  # of an embedding the matrices are shaped as of a linear layer
_LINEAR = (nn.Linear, nn.QuantizedLinear)
_EXPERTS = (SwitchLinear, QuantizedSwitchLinear)
_EMBEDDING = (nn.Embedding, nn.QuantizedEmbedding)
# From so many on the tokens are sorted by expert (mlx_lm/models/switch_layers.py).
_SORTED_FROM = 64


@dataclass(frozen=True)
class Weights:
    """What a LoRA adapter has learned for one layer."""

    kind: Kind
    a: mx.array
    b: mx.array

    @property
    def rank(self) -> int:
        return self.a.shape[1]

    def padded(self, rank: int) -> "Weights":
        """Return the same with a higher rank, made up with zeros."""
        more = rank - self.rank
        if not more:
            return self
        a, b = ((0, 0), (0, more)), ((0, more), (0, 0))
        if self.kind == "experts":
            a, b = ((0, 0), (0, more), (0, 0)), ((0, 0), (0, 0), (0, more))
        return Weights(self.kind, mx.pad(self.a, list(a)), mx.pad(self.b, list(b)))

    def zeros(self, rank: int) -> "Weights":
        """Matrices for the same layer that add nothing."""
        whole = self.padded(rank) if rank > self.rank else self
        return Weights(self.kind, mx.zeros_like(whole.a), mx.zeros_like(whole.b))


@dataclass(eq=False)
class LoadedAdapter:
    """A LoRA adapter in memory. While `leases` is above 0 it stays, whatever happens to its files."""

    digest: str
    scale: float
    rank: int
    weights: dict[str, Weights]
    bytes: int
    leases: int = 0
    used: float = field(default_factory=time.monotonic)


# --- which layers


def language_of(model: Any) -> Any:
    """Return the part of a model that writes and has its layers: all of it, or what comes after a vision model's tower.

    Some text models wrap theirs as vision models do, and show its layers themselves.
    """
    inner = getattr(model, "language_model", model)
    return inner if hasattr(inner, "layers") else model


def put_layers(model: Any, layers: int, parameters: dict[str, Any], *, dora: bool) -> None:
    """Put an adapter's own layers around those of the model's last `layers`, as its library does. Raises ValueError."""
    put: Any = linear_to_lora_layers
    if hasattr(model, "get_input_embeddings"):
        # mlx_vlm has experts of its own kind.
        from mlx_vlm.trainer.peft.adapter_utils import linear_to_lora_layers as put
    put(language_of(model), layers, parameters, use_dora=dora)


def base_of(module: Any) -> Any:
    """Return the model's own layer where LoRA adapters were put around it, else the layer itself."""
    return module.base if isinstance(module, AdapterLayer) else module


def kind_of(module: Any) -> Kind | None:
    """Return what kind of matrices a layer takes, or None when a LoRA adapter cannot change it."""
    base = base_of(module)
    if isinstance(base, _LINEAR):
        return "linear"
    if isinstance(base, _EXPERTS) or type(base).__name__ in ("SwitchLinear", "QuantizedSwitchLinear"):
        return "experts"  # mlx_vlm has classes of its own, by the same names
    return "embedding" if isinstance(base, _EMBEDDING) else None


def wrapped(module: Any, name: str, rows: "RowAdapters") -> "AdapterLayer":
    """Return the layer of that name with room for LoRA adapters around it."""
    kinds = {"linear": LinearLayer, "embedding": EmbeddingLayer, "experts": ExpertsLayer}
    return kinds[kind_of(module) or "linear"](module, name, rows)


# --- whose rows


@dataclass(frozen=True)
class Stack:
    """The matrices of several LoRA adapters for one layer.

    Lower ranks are padded with zeros; place 0 is the base: all zeros.
    """

    a: mx.array
    b: mx.array


class RowAdapters:
    """The LoRA adapter of each row of the next forward pass.

    `one` is set when all rows use the same adapter. Otherwise `places` [rows] says which matrices of a stack each row uses
    and `scales` [rows] how strongly.
    """

    def __init__(self) -> None:
        self.one: LoadedAdapter | None = None
        self.places: mx.array | None = None
        self.scales: mx.array | None = None
        self._expert_rows: mx.array | None = None
        # The adapters that stacks are made of now, in order. A batch that needs no others uses the same stacks.
        self._stacked: list[LoadedAdapter] = []
        self._stacks: dict[str, Stack | None] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowAdapters":
        """Return a copy of the model takes its layers out again; until then both share this."""
        return self

    @property
    def nbytes(self) -> int:
        return sum(stack.a.nbytes + stack.b.nbytes for stack in self._stacks.values() if stack)

    def use(self, adapters: Sequence[LoadedAdapter | None]) -> None:
        """Set the adapter of each row of the next forward pass, in order."""
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

    def forget(self, adapters: Sequence[LoadedAdapter]) -> None:
        """Drop the stacks when one of these adapters is in them."""
        if any(adapter in self._stacked for adapter in adapters):
            self._restack([])

    def _restack(self, needed: list[LoadedAdapter]) -> None:
        """Stack these, and those of the last stack that are still in use."""
        others = [one for one in self._stacked if one.leases and one not in needed]
        self._stacked = needed + others if needed else []
        self._stacks.clear()

    def of_one(self, name: str) -> tuple[Weights, float] | None:
        """Return the matrices of a layer when all rows use one adapter that has some for it."""
        assert self.one is not None
        weights = self.one.weights.get(name)
        return (weights, self.one.scale) if weights is not None else None

    def stack(self, name: str) -> Stack | None:
        """Return the matrices of a layer for every adapter of a mixed batch; None when none of them changes it."""
        if name not in self._stacks:
            self._stacks[name] = _stacked([adapter.weights.get(name) for adapter in self._stacked])
        return self._stacks[name]

    def of_rows(self, count: int) -> tuple[mx.array, mx.array]:
        """Return place and scale for each of `count` first dimensions: rows, or rows whose tokens were laid out one by
        one.
        """
        assert self.places is not None
        assert self.scales is not None
        rows = len(self.places)
        if count == rows:
            return self.places, self.scales
        if count % rows:
            raise RuntimeError(f"{rows} rows cannot be told apart among {count}")
        return mx.repeat(self.places, count // rows), mx.repeat(self.scales, count // rows)

    def note_experts(self, indices: mx.array) -> None:
        """Note to which row each token belongs that goes to an expert; mlx_lm sorts them by expert from 64 on."""
        if self.places is None:
            return
        each = indices.size // len(self.places)
        rows = mx.repeat(mx.arange(len(self.places)), each)
        self._expert_rows = rows[mx.argsort(indices.flatten())] if indices.size >= _SORTED_FROM else rows

    def expert_rows(self, indices: mx.array) -> tuple[mx.array, mx.array]:
        """Return place and scale for each of the experts' numbers."""
        assert self.places is not None
        assert self.scales is not None
        assert self._expert_rows is not None
        rows = self._expert_rows.reshape(indices.shape)
        return self.places[rows], self.scales[rows]


def _stacked(weights: list[Weights | None]) -> Stack | None:
    present = [one for one in weights if one is not None]
    if not present:
        return None
    rank = max(one.rank for one in present)
    zeros = present[0].zeros(rank)
    padded = [zeros, *(one.padded(rank) if one is not None else zeros for one in weights)]
    stack = Stack(mx.stack([one.a for one in padded]), mx.stack([one.b for one in padded]))
    mx.eval(stack.a, stack.b)
    return stack


# --- layers around layers


class AdapterLayer(nn.Module):
    """A layer of the model with what LoRA adapters add to it."""

    def __init__(self, base: Any, name: str, rows: RowAdapters) -> None:
        super().__init__()
        self.base = base
        self._name = name
        self._rows = [rows]  # in a list, so that it is no part of the module tree

    @property
    def rows(self) -> RowAdapters:
        return self._rows[0]

    def __call__(self, x: mx.array, *more: Any, **named: Any) -> mx.array:
        y = self.base(x, *more, **named)
        rows = self.rows
        if rows.one is not None:
            found = rows.of_one(self._name)
            if found is None:
                return y
            weights, scale = found
            return y + (scale * self._added(x, weights, *more, **named)).astype(y.dtype)
        if rows.places is None:
            return y
        stack = rows.stack(self._name)
        return y if stack is None else y + self._mixed(x, stack, *more, **named).astype(y.dtype)

    def _added(self, x: mx.array, weights: Weights, *more: Any, **named: Any) -> mx.array:
        """Return what one adapter adds for all rows, as mlx_lm computes it."""
        raise NotImplementedError

    def _mixed(self, x: mx.array, stack: Stack, *more: Any, **named: Any) -> mx.array:
        """Return what each row's adapter adds, scaled."""
        raise NotImplementedError


class LinearLayer(AdapterLayer):
    """A linear layer: x [rows, ..., in] -> [rows, ..., out]."""

    def _added(self, x: mx.array, weights: Weights) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (x @ weights.a) @ weights.b

    def _mixed(self, x: mx.array, stack: Stack) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _gathered(self.rows, x, stack.a, stack.b)


class EmbeddingLayer(AdapterLayer):
    """An embedding, also where it serves as the head."""

    def _added(self, x: mx.array, weights: Weights) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return weights.a[x] @ weights.b

    def _mixed(self, x: mx.array, stack: Stack) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        places, scales = self.rows.of_rows(x.shape[0])
        inner = stack.a[places.reshape(-1, *[1] * (x.ndim - 1)), x]
        added = mx.gather_mm(inner, stack.b, rhs_indices=places)
        return added * scales.reshape(-1, *[1] * (added.ndim - 1))

    def as_linear(self, x: mx.array) -> mx.array:
        """Return the embedding as the head: x [rows, length, width] -> [rows, length, vocabulary]."""
        y, rows = self.base.as_linear(x), self.rows
        if rows.one is not None:
            found = rows.of_one(self._name)
            if found is None:
                return y
            weights, scale = found
            return y + (scale * ((x @ weights.b.T) @ weights.a.T)).astype(y.dtype)
        stack = rows.stack(self._name) if rows.places is not None else None
        if stack is None:
            return y
        return y + _gathered(rows, x, stack.b.swapaxes(-1, -2), stack.a.swapaxes(-1, -2)).astype(y.dtype)


class ExpertsLayer(AdapterLayer):
    """The experts of a layer: x [..., 1, in] with the experts' numbers [...] that each is for."""

    def _added(self, x: mx.array, weights: Weights, indices: mx.array, sorted_indices: bool = False) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        order: dict[str, Any] = {"rhs_indices": indices, "sorted_indices": sorted_indices}
        return mx.gather_mm(mx.gather_mm(x, weights.a.swapaxes(-1, -2), **order), weights.b.swapaxes(-1, -2), **order)

    def _mixed(self, x: mx.array, stack: Stack, indices: mx.array, sorted_indices: bool = False) -> mx.array:  # pyright: ignore[reportIncompatibleMethodOverride]
        del sorted_indices  # by expert they are, by adapter and expert not
        experts = stack.a.shape[1]
        places, scales = self.rows.expert_rows(indices)
        chosen = places * experts + indices
        a, b = (part.flatten(0, 1).swapaxes(-1, -2) for part in (stack.a, stack.b))
        added = mx.gather_mm(mx.gather_mm(x, a, rhs_indices=chosen), b, rhs_indices=chosen)
        return added * scales[..., None, None]


class ManyExperts:
    """Put before the class of a layer's experts: notes whose each token is, before the tokens are sorted by expert."""

    adapter_rows: list[RowAdapters]

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        self.adapter_rows[0].note_experts(indices)
        return super().__call__(x, indices)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def _gathered(rows_of: RowAdapters, x: mx.array, a: mx.array, b: mx.array) -> mx.array:
    """(x @ a @ b) * scale with each row's matrices: a [places, in, rank], b [places, rank, out]."""
    places, scales = rows_of.of_rows(x.shape[0])
    rows = x.reshape(x.shape[0], -1, x.shape[-1])
    added = mx.gather_mm(mx.gather_mm(rows, a, rhs_indices=places), b, rhs_indices=places)
    return (added * scales[:, None, None]).reshape(*x.shape[:-1], added.shape[-1])
