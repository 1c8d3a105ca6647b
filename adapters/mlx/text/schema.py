"""Holding an answer to a JSON schema: at every step, tokens that cannot continue a valid answer get no probability.

llguidance computes the mask; it is applied with plain array operations, so it runs on every backend.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llguidance.hf
import mlx.core as mx
import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from adapters.errors import SchemaError, UnsupportedModel
from adapters.protocol.generation import MAX_SCHEMA_BYTES
from adapters.schemas.check import check_value, read_json
from adapters.schemas.enforceable import enforceable
from adapters.schemas.modern import modern
from adapters.schemas.walk import descendants, with_children

# JSON as Python's json.dumps writes it, which is what models have seen most of.
# `oneOf` is held to as `anyOf`; that one alone matches is checked after.
_LAYOUT: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
}
_CIRCULAR = "circular references with sibling keys"
_DEEPEST = 32


def compile_schema(schema: dict[str, Any]) -> str:
    """Return the grammar of the answers that a schema allows, or of more where `check_answer` has to refuse some.

    Raises SchemaError when it is no valid schema, is too large or too deep, or uses what can be neither enforced nor checked.
    """
    if _depth(schema) > _DEEPEST:
        raise SchemaError(f"json_schema is nested deeper than {_DEEPEST} levels; flatten it")
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"json_schema has {len(text)} bytes and may have {MAX_SCHEMA_BYTES}; split the question")
    return _compiled(text)[0]


@lru_cache(maxsize=64)
def _compiled(text: str) -> tuple[str, bool]:
    """Return the grammar of a schema, and whether it holds all of it: then patterns were matched while it was written."""
    plain = modern(json.loads(text))
    held = enforceable(plain)
    # Of these the grammar holds a part: one branch is enough for it, and one of the schemas of a property.
    partly = {"oneOf", "patternProperties"}
    whole = held == plain and not any(isinstance(one, dict) and partly & set(one) for one in descendants(plain))
    grammar, problem = _grammar(held)
    if _CIRCULAR in problem:
        whole = False
        grammar, problem = _grammar(enforceable(plain, lone_references=True))
    if problem:
        told = problem.replace("Unsatisfiable schema: ", "no value can follow it, as ")
        raise SchemaError(
            f"json_schema asks for what cannot be enforced: {told}. Leave that part out, or check it after the call"
        )
    return grammar, whole


def _grammar(schema: dict[str, Any]) -> tuple[str, str]:
    """Return a schema's grammar, and what is wrong with it."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=_LAYOUT)
    except ValueError:
        return "", "a name or value holds half of a character (a lone surrogate)"
    problem = LLMatcher.validate_grammar(grammar)
    return grammar, _first_line(problem) if problem else ""


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
    """Return llguidance's view of an `mlx_lm` tokenizer.

    Takes a second or more for a large vocabulary: make it once a model.

    Raises UnsupportedModel for a tokenizer that no answer can be held to a grammar with.
    """
    if not tokenizer.eos_token_ids:
        raise UnsupportedModel(
            "this model's tokenizer has no end token (eos_token_id), and an answer that is held to json_schema ends with it; choose another model, or leave json_schema out"
        )
    try:
        return llguidance.hf.from_tokenizer(tokenizer._tokenizer, eos_token=sorted(tokenizer.eos_token_ids))
    except ValueError as error:
        raise UnsupportedModel(
            f"this model's tokenizer cannot be held to json_schema ({_first_line(str(error))}); choose another model, or leave json_schema out"
        ) from error


@dataclass(frozen=True)
class Reasoning:
    """The tokens around a model's reasoning: its markers, and the blank line that models are trained to write after it."""

    start: tuple[int, ...]
    end: tuple[int, ...]
    gap: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> "Reasoning":
        """Return those of an `mlx_lm` tokenizer whose model thinks."""
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
    """Return the mask [1, words] that allows one token."""
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
    """Return the value that an answer holds which was held to the grammar of this schema.

    Raises ValueError when it is no JSON or does not follow the schema.
    """
    value = read_json(text)
    check_value(value, _without_patterns(schema) if _compiled(json.dumps(schema))[1] else schema)
    return value


def _without_patterns(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in with_children(schema, _without_patterns).items() if key != "pattern"}
