"""A schema of any draft as one of draft 2020-12 that stands alone: what it refers to is in its own `$defs`, by new names.

It allows the same values. So it can be put into another schema, beside others: its pointers lead to where its
definitions are put.
"""

from typing import Any
from urllib.parse import urldefrag

import referencing.exceptions
from jsonschema_specifications import REGISTRY

from adapters.errors import SchemaError
from adapters.schemas.drafts import DRAFTS, Draft, check_schema
from adapters.schemas.walk import descendants, is_schema

_COUNTS = frozenset(
    {
        "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength",
        "minProperties",
    }
)  # fmt: skip
# References whose end depends on the way that led to them.
_DYNAMIC = ("$dynamicRef", "$recursiveRef")
_NO_FETCHING = "references are followed within the schema only; put what it refers to into its $defs"


def modern(schema: dict[str, Any], prefix: str = "d") -> dict[str, Any]:
    """Return the schema of draft 2020-12 that allows the same values, with definitions named `prefix` and a number.

    Raises SchemaError for what is no schema, and for a reference that leads nowhere or out of the schema.
    """
    return _Translation(check_schema(schema), schema, prefix).whole()


class _Translation:
    """One schema on its way to the latest draft. Each schema that is referred to is translated once."""

    def __init__(self, draft: Draft, schema: dict[str, Any], prefix: str) -> None:
        self._draft, self._schema, self._prefix = draft, schema, prefix
        self._known = {id(one) for one in descendants(schema)}
        self._names: dict[int, str] = {}
        self._left: list[tuple[str, Any, Any]] = []

    def whole(self) -> dict[str, Any]:
        resource = self._draft.specification.create_resource(self._schema)
        root = self._one(self._schema, REGISTRY.resolver_with_root(resource))
        if root is False:
            raise SchemaError("json_schema allows no value at all (not: {}); say what is allowed")
        definitions = dict[str, Any]()
        while self._left:
            name, contents, resolver = self._left.pop()
            definitions[name] = self._one(contents, resolver, entered=True)
        return root | ({"$defs": definitions} if definitions else {})

    def _one(self, schema: Any, resolver: Any, entered: bool = False) -> Any:
        """Translate a schema. `entered` says that the resolver is already at its own address."""
        if not isinstance(schema, dict):  # true, or false
            return schema
        if not entered:
            resolver = resolver.in_subresource(self._draft.specification.create_resource(schema))
        if "$ref" in schema and self._draft.ref_alone:
            return {"$ref": self._reference(schema["$ref"], resolver)}
        made = dict[str, Any]()
        for key, value in schema.items():
            if key == "$ref":
                made["$ref"] = self._reference(value, resolver)
            elif key in _DYNAMIC and key in self._draft.keywords:
                raise SchemaError(f"json_schema uses {key}, which cannot be followed; use $ref")
            elif key == "dependencies" and key not in self._draft.keywords:
                raise SchemaError(
                    f"json_schema uses dependencies, which draft {self._draft.name} does not have; use dependentRequired or dependentSchemas, or declare draft-07 in $schema"
                )
            elif key in self._draft.keywords:
                made |= self._keyword(key, value, schema, resolver)
        return False if made in ({"not": {}}, {"not": True}) else made

    def _keyword(self, key: str, value: Any, schema: dict[str, Any], resolver: Any) -> dict[str, Any]:
        """Return what one keyword of a schema is in the latest draft."""
        if key == "items" and isinstance(value, list):
            return {"prefixItems": self._all(value, resolver)} if value else {}
        if key == "additionalItems":
            return {"items": self._one(value, resolver)} if isinstance(schema.get("items"), list) else {}
        if key == "dependencies":
            needed = {name: one for name, one in value.items() if isinstance(one, list)}
            schemas = {name: self._one(one, resolver) for name, one in value.items() if is_schema(one)}
            return {"dependentRequired": needed, "dependentSchemas": schemas}
        if key in ("minimum", "maximum"):
            exclusive = f"exclusive{key.capitalize()}"
            return {exclusive if schema.get(exclusive) is True else key: value}
        if key in ("exclusiveMinimum", "exclusiveMaximum"):
            return {} if value is True or value is False else {key: value}
        if key in _COUNTS:
            return {key: int(value)}
        if key in ("properties", "patternProperties", "dependentSchemas"):
            return {key: {name: self._one(one, resolver) for name, one in value.items()}}
        if key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            return {key: self._all(value, resolver)}
        return {key: self._one(value, resolver) if key in _SCHEMAS else value}

    def _all(self, schemas: list[Any], resolver: Any) -> list[Any]:
        return [self._one(one, resolver) for one in schemas]

    def _reference(self, reference: str, resolver: Any) -> str:
        """Return the pointer to what a reference leads to, which becomes a definition."""
        try:
            found = resolver.lookup(reference)
        except (referencing.exceptions.Unresolvable, ValueError, TypeError, LookupError) as error:
            raise SchemaError(
                f"json_schema asks for what cannot be enforced: its $ref to {reference[:200]!r} leads nowhere; {_NO_FETCHING}"
            ) from error
        document = urldefrag(found.resolver._base_uri)[0]
        others = [draft.uri for draft in DRAFTS if draft is not self._draft]
        if not is_schema(found.contents) or document.partition("://")[2] in others:
            raise SchemaError(
                f"json_schema asks for what cannot be enforced: its $ref to {reference[:200]!r} leads to no schema of draft {self._draft.name}; {_NO_FETCHING}"
            )
        name = self._names.get(id(found.contents))
        if name is None:
            if id(found.contents) not in self._known and isinstance(found.contents, dict):
                check_schema(found.contents)  # it stands where no schema is looked for, so nobody has checked it yet
            name = self._names[id(found.contents)] = f"{self._prefix}{len(self._names)}"
            self._left.append((name, found.contents, found.resolver))
        return f"#/$defs/{name}"


_SCHEMAS = frozenset(
    {
        "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip
