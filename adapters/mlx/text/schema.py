"""Holding an answer to a JSON schema: at every step, tokens that cannot continue a valid answer get no probability.

llguidance computes the mask; it is applied with plain array operations, so it runs on every backend.
"""

import json
from dataclasses import dataclass
from typing import Any

import jsonschema
import llguidance.hf
import mlx.core as mx
import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from adapters.errors import SchemaError
from adapters.protocol.generation import MAX_SCHEMA_BYTES

# JSON as Python's json.dumps writes it, which is what models have seen most of.
_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_DEEPEST = 32


def compile_schema(schema: dict[str, Any]) -> str:
    """The grammar of all answers that the schema allows.

    Raises SchemaError when it is no valid schema, is too large or too deep, or uses what cannot be enforced.
    """
    if _depth(schema) > _DEEPEST:
        raise SchemaError(f"json_schema is nested deeper than {_DEEPEST} levels; flatten it")
    try:
        text = json.dumps(schema)
        jsonschema.Draft202012Validator.check_schema(schema)
    except (jsonschema.SchemaError, RecursionError, ValueError, TypeError) as error:
        reason = error.message if isinstance(error, jsonschema.SchemaError) else str(error)
        raise SchemaError(
            f"json_schema is not a JSON schema: {reason[:300]}. Pass an object such as {{'type': 'object', 'properties': {{'name': {{'type': 'string'}}}}, 'required': ['name']}}"
        ) from error
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"json_schema has {len(text)} bytes and may have {MAX_SCHEMA_BYTES}; split the question")
    grammar = LLMatcher.grammar_from_json_schema(text, overrides=_LAYOUT)
    if problem := LLMatcher.validate_grammar(grammar):
        raise SchemaError(
            f"json_schema asks for what cannot be enforced: {_first_line(problem)}. Leave that part out, or check it after the call"
        )
    return grammar


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
        if depth > 4 * _DEEPEST:
            break
    return depth // 2


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "unknown"


def grammar_tokenizer(tokenizer: Any) -> LLTokenizer:
    """llguidance's view of an `mlx_lm` tokenizer. Takes a second or more for a large vocabulary: make it once a model."""
    return llguidance.hf.from_tokenizer(tokenizer._tokenizer, eos_token=sorted(tokenizer.eos_token_ids))


@dataclass(frozen=True)
class Reasoning:
    """The tokens around a model's reasoning: its markers, and the blank line that models are trained to write after it."""

    start: tuple[int, ...]
    end: tuple[int, ...]
    gap: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> "Reasoning":
        """Those of an `mlx_lm` tokenizer whose model thinks."""
        gap = tokenizer.encode("\n\n", add_special_tokens=False)
        return cls(tuple(tokenizer.think_start_tokens), tuple(tokenizer.think_end_tokens), tuple(gap))


class SchemaMask:
    """A logits processor for one answer. Reasoning before the answer is free; its markers decide where it ends.

    `reasoning` is None when the answer may have none; `begun` says that the prompt has opened it already.
    """

    def __init__(
        self, tokenizer: LLTokenizer, grammar: str, reasoning: Reasoning | None = None, begun: bool = False
    ) -> None:
        self._matcher = LLMatcher(tokenizer, grammar)
        if problem := self._matcher.get_error():
            raise SchemaError(f"json_schema cannot be enforced: {_first_line(problem)}. Make it smaller")
        self._mask = allocate_token_bitmask(1, tokenizer.vocab_size)
        self._reasoning = reasoning
        self._free = reasoning is not None and begun
        self._may_think = reasoning is not None and not begun
        self._thought: list[int] = []
        self._forced: list[int] = []
        self._first = True

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        # The device computes the logits while the mask is made.
        mx.async_eval(logits)
        if not self._first:
            self._take(int(tokens[-1].item()))  # pyright: ignore[reportArgumentType]
        self._first = False
        if self._free:
            return logits
        if self._forced:
            return apply_mask(logits, _only(self._forced[0], self._mask.shape[1]))
        fill_next_token_bitmask(self._matcher, self._mask, 0)
        # A copy: the mask of the step before may still be in use.
        mask = self._mask.copy()
        if self._may_think and self._reasoning:
            mask |= _only(self._reasoning.start[0], mask.shape[1])
        return apply_mask(logits, mask)

    def _take(self, token: int) -> None:
        """Follow the token that was chosen. Raises SchemaError when the grammar has no place for it."""
        if self._forced:
            self._forced.pop(0)
        elif self._free and self._reasoning:
            self._thought.append(token)
            if tuple(self._thought[-len(self._reasoning.end) :]) == self._reasoning.end:
                self._free, self._forced = False, list(self._reasoning.gap)
        elif self._may_think and self._reasoning and token == self._reasoning.start[0]:
            self._free, self._may_think = True, False
        else:
            self._may_think = False
            if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
                problem = _first_line(self._matcher.get_error() or "a token was not allowed")
                raise SchemaError(f"the answer could not be held to json_schema: {problem}. Make the schema simpler")


def _only(token: int, words: int) -> np.ndarray:
    """The mask [1, words] that allows one token."""
    mask = np.zeros((1, words), dtype=np.uint32)
    mask[0, token // 32] = 1 << token % 32
    return mask.view(np.int32)


def apply_mask(logits: mx.array, mask: np.ndarray) -> mx.array:
    """Logits [1, vocabulary] with those of tokens whose bit in mask [1, words] is 0 set to minus infinity."""
    vocabulary = logits.shape[-1]
    bits = ((mx.array(mask)[..., None] >> mx.arange(32, dtype=mx.int32)) & 1).reshape(1, -1).astype(mx.bool_)
    if bits.shape[-1] < vocabulary:
        bits = mx.concatenate([bits, mx.zeros((1, vocabulary - bits.shape[-1]), mx.bool_)], axis=-1)
    return mx.where(bits[:, :vocabulary], logits, mx.array(-float("inf"), logits.dtype))


def check_answer(text: str, schema: dict[str, Any]) -> Any:
    """The value that the text holds. Raises ValueError when it is no JSON or does not follow the schema.

    Patterns and formats are left to the grammar, which has enforced them in bounded time; `re` may take for ever.
    """
    value = json.loads(text)
    try:
        jsonschema.Draft202012Validator(_without(schema, ("pattern", "patternProperties", "format"))).validate(value)
    except jsonschema.ValidationError as error:
        raise ValueError(error.message) from error
    return value


def _without(schema: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(schema, dict):
        kept = {key: _without(value, keys) for key, value in schema.items() if key not in keys}
        # What patternProperties would have allowed must not be refused as an additional property.
        return kept | {"additionalProperties": True} if "patternProperties" in schema else kept
    return [_without(entry, keys) for entry in schema] if isinstance(schema, list) else schema
