"""Where schemas stand within a schema. Every walk over a schema goes through here.

Names of properties and data (`enum`, `const`, `default`, `examples`) look like keywords and are none.
"""

from collections.abc import Callable, Iterator
from typing import Any

# Keywords whose value is a schema, a list of schemas, or an object that names schemas, in the drafts from 04 to 2020-12.
_ONE = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
# Keywords whose schemas say something of the same value, not of a part of it.
IN_PLACE = frozenset({"allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"})


def is_schema(value: Any) -> bool:
    """Return whether a value can be a schema: an object or a boolean."""
    return isinstance(value, dict | bool)


def children(schema: Any) -> Iterator[tuple[str, Any]]:
    """Return the schemas that stand directly within a schema, each with the keyword that it stands under."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in _ONE and is_schema(value):
            yield key, value
        elif key in _LISTS and isinstance(value, list):
            yield from ((key, one) for one in value if is_schema(one))
        elif key in _NAMED and isinstance(value, dict):
            yield from ((key, one) for one in value.values() if is_schema(one))


def descendants(schema: Any) -> Iterator[Any]:
    """Return a schema and all schemas within it. References are not followed."""
    left = [schema]
    while left:
        one = left.pop()
        yield one
        left += [child for _, child in children(one)]


def with_children(schema: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a copy of a schema in which `change` has been applied to every schema directly within it."""
    return {key: _changed(key, value, change) for key, value in schema.items()}


def _changed(key: str, value: Any, change: Callable[[Any], Any]) -> Any:
    if key in _ONE and is_schema(value):
        return change(value)
    if key in _LISTS and isinstance(value, list):
        return [change(one) if is_schema(one) else one for one in value]
    if key in _NAMED and isinstance(value, dict):
        return {name: change(one) if is_schema(one) else one for name, one in value.items()}
    return value
