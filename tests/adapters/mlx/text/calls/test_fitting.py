"""Whether arguments fit a tool's schema, and what is repaired on the way."""

from typing import Any

import pytest

from adapters.mlx.text.calls.fitting import DoesNotFit, ToolSchema


def schema(**properties: Any) -> ToolSchema:
    return ToolSchema({"type": "object", "properties": properties})


INTEGER, TEXT = {"type": "integer"}, {"type": "string"}
ADDRESS = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/Place"}},
    "$defs": {"Place": {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}},
}


@pytest.mark.parametrize(
    ("declared", "given", "fitted"),
    [
        (INTEGER, "30", 30),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array", "items": INTEGER}, "[1, 2]", [1, 2]),
        ({"type": "array", "items": INTEGER}, ["1", 2], [1, 2]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"anyOf": [INTEGER, {"type": "null"}]}, "5", 5),
        (TEXT, "30", "30"),
        ({"type": ["string", "integer"]}, "30", "30"),
        ({"enum": [1, 2]}, "2", 2),
        ({"type": "string", "pattern": "^a+$"}, "aaa", "aaa"),
    ],
)
def test_what_came_as_text_becomes_what_the_schema_wants(declared: Any, given: Any, fitted: Any) -> None:
    made = schema(value=declared).fitted({"value": given})
    assert repr(made) == repr({"value": fitted})


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        (INTEGER, "thirty"),
        (INTEGER, "1.5"),
        (INTEGER, True),
        (INTEGER, None),
        (TEXT, 5),
        ({"type": "boolean"}, 1),
        ({"type": "boolean"}, "yes"),
        ({"type": "array"}, "a, b"),
        ({"enum": ["a", "b"]}, "c"),
        ({"type": "string", "pattern": "^a+$"}, "b"),
        ({"type": "string", "maxLength": 2}, "abc"),
        ({"$ref": "https://example.com/schema.json"}, 1),
        ({"type": "no such type"}, 1),
    ],
)
def test_what_does_not_fit_is_refused(declared: Any, given: Any) -> None:
    with pytest.raises(DoesNotFit):
        schema(value=declared).fitted({"value": given})


def test_repairs_follow_pointers() -> None:
    assert ToolSchema(ADDRESS).fitted({"at": {"x": "3"}}) == {"at": {"x": 3}}
    assert ToolSchema(ADDRESS).fitted({"at": '{"x": "3"}'}) == {"at": {"x": 3}}


def test_the_declared_draft_is_honoured() -> None:
    tuples = {"value": {"type": "array", "items": [INTEGER, TEXT], "additionalItems": False}}
    seventh = ToolSchema({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": tuples})
    assert seventh.fitted({"value": [1, "a"]}) == {"value": [1, "a"]}
    with pytest.raises(DoesNotFit):
        seventh.fitted({"value": [1, "a", 2]})
    fourth = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}
    limits = {"value": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}
    with pytest.raises(DoesNotFit):
        ToolSchema(fourth | {"properties": limits}).fitted({"value": 0})


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    with pytest.raises(DoesNotFit, match="in time"):
        schema(value={"type": "string", "pattern": r"^(a|aa)+$(?<!b)(?=c)"}).fitted({"value": "a" * 60})


@pytest.mark.parametrize(
    ("declared", "text", "fitted"),
    [(INTEGER, "3", 3), (TEXT, "3", "3"), ({"type": "boolean"}, "True", True), ({"type": "array"}, "['a']", ["a"])],
)
def test_texts_get_the_type_that_the_schema_tells(declared: Any, text: str, fitted: Any) -> None:
    assert schema(value=declared).fitted_texts({"value": text}) == {"value": fitted}


@pytest.mark.parametrize("declared", [{"type": ["string", "integer"]}, {}, True])
def test_a_text_that_could_be_two_values_is_neither(declared: Any) -> None:
    with pytest.raises(DoesNotFit, match="could be"):
        schema(value=declared).fitted_texts({"value": "3"})


def test_texts_of_arguments_that_are_not_declared_are_refused() -> None:
    with pytest.raises(DoesNotFit, match="no argument"):
        schema(value=TEXT).fitted_texts({"other": "3"})
    with pytest.raises(DoesNotFit, match="required"):
        ToolSchema({"type": "object", "properties": {"a": TEXT}, "required": ["a"]}).fitted_texts({})
