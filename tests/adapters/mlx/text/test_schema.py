"""Schemas: refused with a reason, or kept."""

import time
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import load

from adapters.errors import SchemaError
from adapters.mlx.text.schema import Reasoning, SchemaMask, apply_mask, check_answer, compile_schema, grammar_tokenizer
from adapters.models.starters import STARTERS

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load(str(STARTERS["starter"]))[1]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "banana"}, "is not a JSON schema"),
        ({"properties": 3}, "is not a JSON schema"),
        ({"$ref": "#/nowhere"}, "cannot be enforced"),
        ({"type": "string", "pattern": "[unclosed"}, "json_schema"),
        ({"not": {"type": "string"}}, "cannot be enforced"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "cannot be enforced"),
        ({"type": "object", "properties": {f"key{i:06}": {"type": "string"} for i in range(3000)}}, "bytes"),
    ],
)
def test_what_cannot_be_enforced_is_refused_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        compile_schema(schema)


def test_a_schema_nested_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaError, match="nested"):
        compile_schema(schema)


@pytest.mark.parametrize("pattern", ["(a+)+$", "((a{1,1000}){1,1000}){1,1000}", "(.*)*(.*)*(.*)*x", "(a|a)*b{1,50000}"])
def test_a_regular_expression_bomb_ends_in_bounded_time(tokenizer: Any, pattern: str) -> None:
    started = time.monotonic()
    try:
        mask = SchemaMask(grammar_tokenizer(tokenizer), compile_schema({"type": "string", "pattern": pattern}))
        logits = mx.zeros((1, len(tokenizer.vocab)))
        mx.eval(mask(mx.array([1]), logits))
    except SchemaError as error:
        assert "json_schema" in str(error)  # noqa: PT017  either outcome is right, as long as it comes soon
    assert time.monotonic() - started < 10


def test_only_tokens_that_continue_a_valid_answer_are_left(tokenizer: Any) -> None:
    mask = SchemaMask(grammar_tokenizer(tokenizer), compile_schema(PERSON))
    logits = mask(mx.array([1]), mx.zeros((1, len(tokenizer.vocab))))
    allowed = [tokenizer.decode([i]) for i in np.flatnonzero(np.isfinite(np.array(logits)[0])).tolist()]
    assert allowed
    assert all('{"name": "'.startswith(piece) for piece in allowed)


def allowed_after(mask: SchemaMask, tokenizer: Any, *tokens: int) -> list[int]:
    """Feed the tokens one by one; gives the tokens that may come next."""
    zeros = mx.zeros((1, len(tokenizer.vocab)))
    logits = mask(mx.array([1]), zeros)
    for count in range(1, len(tokens) + 1):
        logits = mask(mx.array([1, *tokens[:count]]), zeros)
    return np.flatnonzero(np.isfinite(np.array(logits)[0])).tolist()


def test_reasoning_is_free_until_its_end_marker(tokenizer: Any) -> None:
    reasoning, everything = Reasoning.of(tokenizer), len(tokenizer.vocab)

    def begun() -> SchemaMask:
        return SchemaMask(grammar_tokenizer(tokenizer), compile_schema(PERSON), reasoning, begun=True)

    assert len(allowed_after(begun(), tokenizer)) == everything
    assert len(allowed_after(begun(), tokenizer, 5)) == everything
    assert allowed_after(begun(), tokenizer, 5, *reasoning.end) == [reasoning.gap[0]]
    after = allowed_after(begun(), tokenizer, 5, *reasoning.end, *reasoning.gap)
    assert after
    assert all('{"name": "'.startswith(tokenizer.decode([token])) for token in after)


def test_an_answer_may_begin_with_reasoning_where_the_model_thinks(tokenizer: Any) -> None:
    reasoning = Reasoning.of(tokenizer)
    first = allowed_after(SchemaMask(grammar_tokenizer(tokenizer), compile_schema(PERSON), reasoning), tokenizer)
    assert reasoning.start[0] in first
    assert 5 not in first
    mask = SchemaMask(grammar_tokenizer(tokenizer), compile_schema(PERSON), reasoning)
    assert len(allowed_after(mask, tokenizer, *reasoning.start)) == len(tokenizer.vocab)


def test_a_mask_shorter_than_the_vocabulary_forbids_the_rest() -> None:
    masked = apply_mask(mx.zeros((1, 40)), np.array([[-1]], dtype=np.int32))
    assert np.isfinite(np.array(masked)[0]).sum() == 32


def test_an_answer_is_checked_against_the_schema() -> None:
    assert check_answer('{"name": "Tom", "age": 7}', PERSON) == {"name": "Tom", "age": 7}
    with pytest.raises(ValueError, match="'age' is a required property"):
        check_answer('{"name": "Tom"}', PERSON)
    with pytest.raises(ValueError, match="Unterminated"):
        check_answer('{"name": "To', PERSON)


def test_a_pattern_cannot_stall_the_check() -> None:
    started = time.monotonic()
    check_answer('"' + "a" * 40 + '!"', {"type": "string", "pattern": "^(a+)+$"})
    assert time.monotonic() - started < 2
