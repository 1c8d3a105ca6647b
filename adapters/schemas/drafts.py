"""The drafts of JSON Schema that are known here, and which one a schema is written in."""

from dataclasses import dataclass
from typing import Any

import jsonschema
from referencing import Specification
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from adapters.errors import SchemaError
from adapters.schemas.walk import descendants

_DRAFT_04 = frozenset(
    {
        "$ref", "additionalItems", "additionalProperties", "allOf", "anyOf", "dependencies", "enum", "exclusiveMaximum",
        "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern", "patternProperties",
        "properties", "required", "type", "uniqueItems",
    }
)  # fmt: skip
_DRAFT_06 = _DRAFT_04 | {"const", "contains", "propertyNames"}
_DRAFT_07 = _DRAFT_06 | {"if", "then", "else"}
_DRAFT_2019 = (_DRAFT_07 - {"dependencies"}) | {
    "$recursiveRef", "dependentRequired", "dependentSchemas", "maxContains", "minContains", "unevaluatedItems",
    "unevaluatedProperties",
}  # fmt: skip
_DRAFT_2020 = (_DRAFT_2019 - {"$recursiveRef", "additionalItems"}) | {"$dynamicRef", "prefixItems"}


@dataclass(frozen=True)
class Draft:
    """One draft: its `keywords` are those that say which values are valid.

    With `ref_alone` nothing beside `$ref` counts.
    """

    name: str
    uri: str
    validator: Any
    specification: Specification[Any]
    keywords: frozenset[str]
    ref_alone: bool = False


LATEST = Draft(
    "2020-12", "json-schema.org/draft/2020-12/schema", jsonschema.Draft202012Validator, DRAFT202012, _DRAFT_2020
)
DRAFTS = (
    Draft("draft-04", "json-schema.org/draft-04/schema", jsonschema.Draft4Validator, DRAFT4, _DRAFT_04, True),
    Draft("draft-06", "json-schema.org/draft-06/schema", jsonschema.Draft6Validator, DRAFT6, _DRAFT_06, True),
    Draft("draft-07", "json-schema.org/draft-07/schema", jsonschema.Draft7Validator, DRAFT7, _DRAFT_07, True),
    Draft("2019-09", "json-schema.org/draft/2019-09/schema", jsonschema.Draft201909Validator, DRAFT201909, _DRAFT_2019),
    LATEST,
)
KEYWORDS = frozenset[str]().union(*(draft.keywords for draft in DRAFTS))
# Without a draft in its name this means the latest.
_BY_URI = {draft.uri: draft for draft in DRAFTS} | {"json-schema.org/schema": LATEST}


def draft_of(schema: dict[str, Any]) -> Draft:
    """Return the draft that a schema declares in `$schema`, 2020-12 where it declares none.

    Raises SchemaError for a draft that is not known, and where a part of the schema declares another draft.
    """
    draft = _declared(schema) or LATEST
    for part in descendants(schema):
        if (other := _declared(part)) is not None and other is not draft:
            raise SchemaError(
                f"json_schema is of draft {draft.name} and has a part whose $schema names {other.name}; use one draft"
            )
    return draft


def _declared(schema: Any) -> Draft | None:
    if not isinstance(schema, dict) or "$schema" not in schema:
        return None
    uri = schema["$schema"]
    plain = uri.removesuffix("#").removeprefix("https://").removeprefix("http://") if isinstance(uri, str) else ""
    if plain not in _BY_URI:
        known = ", ".join(draft.name for draft in DRAFTS)
        raise SchemaError(
            f"json_schema has $schema {str(uri)[:100]!r}, and the drafts that can be kept are {known}; declare one of them, or none for 2020-12"
        )
    return _BY_URI[plain]


def check_schema(schema: dict[str, Any]) -> Draft:
    """Return the draft of a schema that is one. Raises SchemaError with what is wrong with it."""
    try:
        draft = draft_of(schema)
        draft.validator.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
        return draft
    except (jsonschema.SchemaError, RecursionError, ValueError, TypeError) as error:
        where = "/".join(map(str, error.absolute_path)) if isinstance(error, jsonschema.SchemaError) else ""
        reason = error.message if isinstance(error, jsonschema.SchemaError) else str(error)
        raise SchemaError(
            f"json_schema is not a JSON schema: {f'at {where[:100]}: ' if where else ''}{reason[:300]}. Pass an object such as {{'type': 'object', 'properties': {{'name': {{'type': 'string'}}}}, 'required': ['name']}}; one of an older draft says so in $schema"
        ) from error
