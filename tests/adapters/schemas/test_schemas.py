"""Schemas read where schemas stand: names and data that look like keywords, references, drafts, and what is checked after."""

import json
import time
from typing import Any

import pytest

from adapters.errors import SchemaError
from adapters.mlx.text.schema import check_answer, compile_schema
from adapters.schemas.check import check_value, read_json
from adapters.schemas.modern import modern
from adapters.schemas.strings import is_of_format, matches
from adapters.schemas.walk import children, descendants
from tests.schema_suite import is_allowed

KEYWORDS = ("format", "pattern", "const", "enum", "patternProperties", "$ref", "not", "items", "$schema", "properties")


def takes(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value may be written, and passes the check."""
    text = json.dumps(value, ensure_ascii=False)
    if not is_allowed(compile_schema(schema), text):
        return False
    try:
        check_answer(text, schema)
    except ValueError:
        return False
    return True


def checked(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value may be written, and is refused by the check."""
    text = json.dumps(value)
    assert is_allowed(compile_schema(schema), text)
    with pytest.raises(ValueError, match=r"\w"):
        check_answer(text, schema)
    return True


@pytest.mark.parametrize("name", KEYWORDS)
@pytest.mark.parametrize("deep", [False, True])
def test_a_property_may_be_named_like_a_keyword(name: str, deep: bool) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"type": "string", "pattern": "^a+$"}},
        "required": [name],
        "additionalProperties": False,
    }
    value: Any = {name: "aa"}
    if deep:
        schema, value = {"type": "array", "items": {"$ref": "#/$defs/one"}, "$defs": {"one": schema}}, [value]
    assert takes(schema, value)
    assert not takes(schema, json.loads(json.dumps(value).replace("aa", "b")))
    assert not takes(schema, [{}] if deep else {})


def test_data_that_looks_like_a_schema_is_data() -> None:
    data = {"$ref": "#/nowhere", "format": "x", "pattern": "(", "not": {}}
    for schema in ({"const": data}, {"enum": [data, 1]}, {"const": data, "default": data, "examples": [data]}):
        assert takes(schema, data)
    assert [key for key, _ in children({"enum": [{}], "const": {}, "default": {}, "properties": {"enum": {}}})] == [
        "properties"
    ]
    assert len(list(descendants({"anyOf": [{"items": {}}, True], "dependencies": {"a": ["b"], "c": {}}}))) == 5


def test_a_schema_stands_alone_and_keeps_what_it_refers_to() -> None:
    tree = {
        "$defs": {"a/b~c d": {"type": "object", "properties": {"next": {"$ref": "#/$defs/a~1b~0c%20d"}, "v": {"const": 1}}}},
        "$ref": "#/$defs/a~1b~0c%20d",
    }  # fmt: skip
    alone = modern(tree, "x")
    assert set(alone["$defs"]) == {"x0"}
    within = {
        "type": "array",
        "items": {key: value for key, value in alone.items() if key != "$defs"},
        "$defs": alone["$defs"],
    }
    assert takes(within, [{"next": {"v": 1}, "v": 1}])
    assert not takes(within, [{"next": {"v": 2}}])


def test_schemas_are_found_by_anchor_and_by_id() -> None:
    assert takes({"$ref": "#here", "$defs": {"x": {"$anchor": "here", "const": 1}}}, 1)
    assert takes({"$id": "http://a.b/c", "$ref": "d", "$defs": {"x": {"$id": "d", "const": 1}}}, 1)


DRAFT_07, DRAFT_04 = "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft-04/schema"


def test_the_declared_draft_is_kept() -> None:
    pair = {
        "$schema": DRAFT_07,
        "items": [{"type": "integer"}, {"type": "boolean"}],
        "additionalItems": False,
        "type": "array",
        "minItems": 2,
    }
    assert takes(pair, [1, True])
    assert not takes(pair, [1, 1])
    assert not takes(pair, [1, True, 2])
    above = {"$schema": DRAFT_04, "type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 5}
    assert [takes(above, n) for n in (3, 4, 5, 6)] == [False, True, True, False]
    beside = {"$schema": DRAFT_07, "$ref": "#/definitions/n", "maximum": 0, "definitions": {"n": {"const": 7}}}
    assert takes(beside, 7)
    with pytest.raises(SchemaError, match="no value can follow it"):
        compile_schema(beside | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "draft-03"),
        ({"$schema": "https://example.com/mine"}, "example.com/mine"),
        ({"items": [{"type": "integer"}]}, "at items: .*older draft says so in"),
        ({"dependencies": {"a": ["b"]}}, "dependencies"),
        ({"properties": {"a": {"not": {"const": 1}}}}, "not"),
        ({"properties": {"a": {"type": "string", "format": "idn-email"}}}, "format 'idn-email'"),
        ({"$ref": "https://example.com/other.json"}, "example.com/other.json"),
        ({"$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x"}}}, r"\$dynamicRef"),
        ({"allOf": [{"$ref": "#"}]}, "leads to itself"),
        ({"const": 2**60 + 1}, "the number 1152921504606846977"),
        ({"pattern": "^(?!x)"}, r"a look-ahead or look-behind, '\(\?!' at character 2"),
        ({"patternProperties": {"(a)\\1": {}}}, "a reference to a group"),
        ({"const": "\ud83d"}, "half of a character"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}, "allOf": [{}]}, "unevaluatedProperties"),
    ],
)  # fmt: skip
def test_what_can_be_neither_enforced_nor_checked_is_refused_by_name(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(SchemaError, match=named):
        compile_schema(schema)


def test_what_the_grammar_cannot_hold_is_checked_after() -> None:
    assert takes({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, [1, 2])
    assert checked({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, [1, 1])
    assert checked({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3)
    assert checked({"type": "array", "contains": {"const": 1}}, [2])
    assert checked({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "type": "object"}, {"a": 1})
    assert checked({"type": "object", "dependentRequired": {"a": ["b"]}}, {"a": 1})
    assert checked({"type": "string", "format": "date"}, "2021-02-29")
    both = {
        "type": "object",
        "properties": {"ab": {}},
        "patternProperties": {"^a": {"type": "string", "pattern": "^x"}},
    }
    assert takes(both, {"ab": "x"})
    assert not takes(both, {"ab": "y"})
    assert checked({"patternProperties": {"a": {"type": "integer"}, "b": {"minimum": 5}}}, {"ab": 3})


def test_names_of_properties_that_are_listed_are_enforced() -> None:
    schema = {
        "type": "object", "propertyNames": {"$ref": "#/$defs/colour"}, "additionalProperties": {"type": "integer"},
        "$defs": {"colour": {"enum": ["red", "blue"]}},
    }  # fmt: skip
    assert takes(schema, {"red": 1, "blue": 2})
    assert not takes(schema, {"green": 1})
    assert not is_allowed(compile_schema(schema), '{"green": 1}')


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "1e999", "NaN", "[" * 5000, '{"a": 1'])
def test_json_that_would_be_read_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_json(text)


def test_one_value_is_not_held_to_schemas_without_number() -> None:
    doubling = {f"d{i}": {"oneOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)}
    started = time.monotonic()
    with pytest.raises(SchemaError, match="holds one value to over"):
        compile_schema({"$ref": "#/$defs/d0", "$defs": doubling | {"d30": {"type": "integer"}}})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\s$", "\ufeff", True), (r"^\S$", "\ufeff", False), (r"^[^\S]$", "\u00a0", True), (r"^\w$", "é", False),
        (r"^\d$", "٣", False), (r"^.$", "\u2028", False), (r"^[.]$", "a", False), (r"^[[]$", "[", True),
        (r"^[a&&b]$", "&", True), (r"^[[a]]$", "a]", True), (r"^[\]a]+$", "]a", True), ("b", "abc", True),
    ],
)  # fmt: skip
def test_patterns_are_those_of_ecma_262(pattern: str, text: str, found: bool) -> None:
    assert matches(pattern, text) is found
    assert takes({"type": "string", "pattern": pattern}, text) is found


def test_a_pattern_of_the_check_takes_bounded_time() -> None:
    schema = {"type": "array", "contains": {"pattern": "^(a+)+$"}}
    started = time.monotonic()
    with pytest.raises(ValueError, match="contain"):
        check_value(["a" * 40 + "!"], schema)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("date", "2020-02-29", True), ("date", "2021-02-29", False), ("time", "23:59:60Z", True),
        ("time", "22:59:60Z", False), ("time", "00:59:60+01:00", True), ("date-time", "2021-02-29T00:00:00Z", False),
        ("email", '"a b"@x.org', True), ("email", "a b@x.org", False), ("ipv6", "::ffff:1.2.3.4", True),
        ("ipv6", "::1%eth0", False), ("json-pointer", "/a~1b", True), ("json-pointer", "a", False),
        ("ipv4network", "10.0.0.0/8", True), ("ipv4network", "10.0.0.1/8", False), ("password", "anything", True),
    ],
)  # fmt: skip
def test_formats_are_checked(name: str, text: str, right: bool) -> None:
    assert is_of_format(name, text) is right


def test_a_format_of_numbers_is_a_remark() -> None:
    assert takes({"type": "integer", "format": "int32"}, 5)
