"""How the requests of one model may share a batch: found by trying it, since the libraries' models differ.

Some cannot be batched at all (their caches or masks are for one row), and some answer wrongly without a word when prompts
of different lengths are read together: their state takes the padding for words. What can be shared is tried once on the
loaded model, before a second request joins the first. Runs on the MLX thread.
"""

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mlx.core as mx

logger = logging.getLogger(__name__)

# (tokens [rows, length], caches) -> logits [rows, length, vocabulary]
Forward = Callable[[mx.array, list[Any]], mx.array]
NewCache = Callable[[], list[Any]]

_TRIED = "The quick brown fox jumps over the lazy dog while two old men play chess"
_LONG, _SHORT = 40, 8
# Distances between logits, as parts of their length. What goes through other kernels is rounded otherwise and may choose
# other experts, so it must be far apart before a batch is given up. Padding is given up lightly: without it prompts are
# still read together, in pieces of one length.
_OTHER_KERNELS, _SAME_KERNELS, _ROUNDING = 0.3, 0.07, 0.005
# Caches that keep every token, each in its own place. Others rotate, or sum up what they have read.
_KEEPS_EVERY_TOKEN = {"KVCache", "ConcatenateKVCache", "QuantizedKVCache"}

_HOLDS_TOKENS = _KEEPS_EVERY_TOKEN | {"RotatingKVCache"}


@dataclass(frozen=True)
class Batching:
    """Whether several rows may be decoded together, and whether prompts may be padded to be read together."""

    rows: bool
    padding: bool


ONE_BY_ONE = Batching(rows=False, padding=False)


def can_be_trimmed(entries: Sequence[Any]) -> bool:
    """Return whether a cache of these kinds can be cut back to any length, however much it holds.

    Not asked of a cache that is empty: one that rotates says that it can until it is full.
    """
    return all(
        can_be_trimmed(entry.caches) if hasattr(entry, "caches") else type(entry).__name__ in _KEEPS_EVERY_TOKEN
        for entry in entries
    )


def can_be_masked(entries: Sequence[Any]) -> bool:
    """Return whether all that these caches hold lies token by token, where padding can be masked."""
    return all(
        can_be_masked(entry.caches) if hasattr(entry, "caches") else type(entry).__name__ in _HOLDS_TOKENS
        for entry in entries
    )


def can_be_merged(entries: Sequence[Any]) -> bool:
    """Return whether caches of these kinds can hold the rows of a batch."""
    return all(
        can_be_merged(entry.caches) if hasattr(entry, "caches") else hasattr(entry, "merge") for entry in entries
    )


class OneRow:
    """What a batch does with its caches, for those that hold one row and know of no batch."""

    @classmethod
    def merge(cls, caches: Sequence[Any]) -> Any:
        if len(caches) != 1:
            raise ValueError(f"{cls.__name__} holds one row, not {len(caches)}")
        return caches[0]

    def extract(self, idx: int) -> Any:
        del idx
        return copy.deepcopy(self)

    def filter(self, batch_indices: Any) -> None:
        pass

    def extend(self, other: Any) -> None:
        raise ValueError(f"{type(self).__name__} holds one row, and {type(other).__name__} is another")

    def prepare(self, **_: Any) -> None:
        pass

    def finalize(self) -> None:
        pass


class _NeverTrimmed(OneRow):
    """A cache whose beginning may be gone although it says that it can be trimmed."""

    def is_trimmable(self) -> bool:
        return False


def one_row(entries: list[Any]) -> list[Any]:
    """Return the same caches, as a batch of one row can use them."""
    for entry in entries:
        if not isinstance(entry, OneRow):
            entry.__class__ = _one_row_kind(type(entry))
    return entries


@cache
def _one_row_kind(kind: type) -> type:
    known = kind.__name__ in _KEEPS_EVERY_TOKEN or "Chunked" not in kind.__name__
    return type(f"OneRow{kind.__name__}", (OneRow if known else _NeverTrimmed, kind), {})


def how_batched(forward: Forward, new_cache: NewCache, tokenizer: Any, *, read_alone: bool = False) -> Batching:
    """Try what rows of this model may share: a long and a short prompt, alone and together.

    With `read_alone`, prompts are read into caches of one row, as vision models read them, and never padded.
    """
    kinds = new_cache()
    if not can_be_merged(kinds):
        return ONE_BY_ONE
    tokens = (list(tokenizer.encode(_TRIED)) * _LONG)[: _LONG + _SHORT]
    prompts = [tokens[:_LONG], tokens[_LONG:]]
    try:
        read = [_read(forward, new_cache, prompt, merged=not read_alone) for prompt in prompts]
        alone, twins = list[mx.array](), list[mx.array]()
        for caches, prompt in zip(read, prompts, strict=True):
            alone.append(_answers(forward, [copy.deepcopy(caches)], [prompt]))
            # Beside itself a prompt is computed as in any batch of two, and needs nothing that is for other rows.
            twins.append(_answers(forward, [copy.deepcopy(caches), copy.deepcopy(caches)], [prompt, prompt])[:1])
        expected = mx.concatenate(twins)
        if _apart(expected, mx.concatenate(alone)) > _OTHER_KERNELS:
            raise ValueError("rows are answered otherwise in a batch than alone")
        if _apart(_answers(forward, read, prompts), expected) > _SAME_KERNELS:
            raise ValueError("rows are answered otherwise beside a longer one")
    except Exception as error:
        logger.info("error=<%s> | rows of this model cannot share a batch", error)
        return ONE_BY_ONE
    if read_alone or can_be_masked(kinds):
        return Batching(rows=True, padding=not read_alone)
    try:
        padded = _apart(_answers(forward, [_read_padded(forward, new_cache, prompts)], prompts), expected)
    except Exception as error:
        logger.info("error=<%s> | prompts of this model cannot be padded", error)
        padded = float("inf")
    return Batching(rows=True, padding=padded <= _ROUNDING)


def _read(forward: Forward, new_cache: NewCache, prompt: list[int], *, merged: bool) -> list[Any]:
    """Caches with one prompt but for its last token: a batch's, or those of one row."""
    caches = [entry.merge([entry]) if merged else entry for entry in new_cache()]
    mx.eval(forward(mx.array([prompt[:-1]]), caches))
    return caches


def _read_padded(forward: Forward, new_cache: NewCache, prompts: list[list[int]]) -> list[Any]:
    """Return the same with several prompts at once, as mlx_lm's `PromptProcessingBatch` reads them."""
    lengths = [len(prompt) - 1 for prompt in prompts]
    missing = [max(lengths) - length for length in lengths]
    caches = [kinds[0].merge(list(kinds)) for kinds in zip(*(new_cache() for _ in prompts), strict=True)]
    for entry in caches:
        entry.prepare(lengths=lengths, right_padding=missing)
    rows = [prompt[:-1] + [0] * more for prompt, more in zip(prompts, missing, strict=True)]
    mx.eval(forward(mx.array(rows), caches))
    for entry in caches:
        entry.finalize()
    return caches


def _answers(forward: Forward, batches: list[list[Any]], prompts: list[list[int]]) -> mx.array:
    """Return the logits [prompts, 2 * vocabulary] of each prompt's last token and of one more, decoded in one batch."""
    caches, *others = batches
    if others:
        # Those of one row alone become a batch's when a second one joins.
        caches, *others = [
            [entry if hasattr(entry, "extend") else entry.merge([entry]) for entry in one] for one in batches
        ]
    for other in others:
        for entry, more in zip(caches, other, strict=True):
            entry.extend(more)
    last = mx.array([prompt[-1:] for prompt in prompts])
    steps = [forward(last, caches)[:, -1], forward(last, caches)[:, -1]]
    found = mx.concatenate(steps, axis=-1).astype(mx.float32)
    mx.eval(found)
    return found


def _apart(some: mx.array, others: mx.array) -> float:
    """Return how far logits are from others, as a part of how far these are from their mean; the row that is worst."""
    spread = mx.linalg.norm(others - others.mean(axis=-1, keepdims=True), axis=-1)
    apart = (mx.linalg.norm(some - others, axis=-1) / spread).max().item()
    return float(apart) if apart == apart else float("inf")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
