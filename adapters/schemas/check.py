"""Holding a value to a schema after it was written, by the validator of the draft that the schema declares."""

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import referencing.exceptions
from jsonschema import ValidationError
from jsonschema.validators import extend
from jsonschema_specifications import REGISTRY

from adapters.errors import SchemaError
from adapters.schemas.drafts import Draft, draft_of
from adapters.schemas.strings import is_known_format, is_of_format, matches
from adapters.schemas.walk import with_children


def check_value(value: Any, schema: dict[str, Any]) -> None:
    """Raise ValueError, with the place and what is wrong there, when a value does not follow a schema.

    Takes bounded time for every regular expression, and fetches nothing. Raises SchemaError for what `compile_schema`
    refuses: a pattern that cannot be matched, a draft that is not known, a `$ref` that leads nowhere.
    """
    draft = draft_of(schema)
    validator = _validator(draft)(_undeclared(schema), registry=REGISTRY)
    try:
        error = next(validator.iter_errors(value), None)
    except referencing.exceptions.Unresolvable as missing:
        raise SchemaError(f"json_schema has a $ref that leads nowhere ({missing}); put it into its $defs") from missing
    except RecursionError as endless:
        raise ValueError("it is nested too deep") from endless
    if error is not None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        raise ValueError(f"{where.lstrip('.')}: {error.message}" if where else error.message)


def read_json(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError for what is none, for a name that is there twice, for a number
    that no double holds, and for what is nested too deep."""
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_float=_finite, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:100]!r} is there twice in one object")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _undeclared(schema: Any) -> Any:
    """Return the schema without `$schema`, by which the library would choose its own validator in place of this one."""
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in with_children(schema, _undeclared).items() if key != "$schema"}


@cache
def _validator(draft: Draft) -> Any:
    # Later drafts say that what a string holds is a remark.
    content = {"contentMediaType": _content, "contentEncoding": _content} if draft.name == "draft-07" else {}
    return extend(draft.validator, _KEYWORDS | content)


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not matches(pattern, instance):
        yield ValidationError(f"{instance[:200]!r} does not match {pattern[:200]!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    for pattern, part in patterns.items() if validator.is_type(instance, "object") else ():
        for name, value in instance.items():
            if matches(pattern, name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, part: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name not in known and not any(matches(pattern, name) for pattern in patterns):
            if part is False:
                yield ValidationError(f"{name[:100]!r} is no property that is allowed")
            else:
                yield from validator.descend(value, part, path=name)


def _format(validator: Any, name: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    known = isinstance(name, str) and is_known_format(name)
    if known and validator.is_type(instance, "string") and not is_of_format(name, instance):
        yield ValidationError(f"{instance[:200]!r} is not of format {name!r}")


def _content(validator: Any, _: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Base64 that is none, and JSON that is none."""
    if not validator.is_type(instance, "string"):
        return
    try:
        held = base64.b64decode(instance, validate=True) if schema.get("contentEncoding") == "base64" else instance
        if schema.get("contentMediaType") == "application/json":
            json.loads(held)
    except (ValueError, RecursionError):
        yield ValidationError(f"{instance[:200]!r} does not hold what contentEncoding and contentMediaType say")


_KEYWORDS = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "format": _format,
}
