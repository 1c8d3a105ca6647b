"""Whether arguments fit a tool's JSON schema, after repairs that lose nothing: a number, a truth or JSON that came as text."""

import json
from typing import Any

import jsonschema
import regex
from jsonschema import validators
from jsonschema.protocols import Validator
from referencing import Registry

from adapters.mlx.text.calls.found import NotACall
from adapters.mlx.text.calls.pythonic import python_value
from adapters.mlx.text.calls.strict_json import whole_value

# How long one pattern may take, in seconds: those of a schema may take for ever.
_PATTERN_SECONDS = 0.2
_DEEPEST = 32
_PYTHON = {"True": True, "False": False, "None": None}


class DoesNotFit(Exception):
    """Arguments that are not the tool's. The message names no value."""


class ToolSchema:
    """A tool's parameters; nothing at all stands for a tool without any."""

    def __init__(self, schema: Any) -> None:
        self._draft: Any = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        # Without its name, which would lead back from the validator below to the draft's own.
        named = isinstance(schema, dict) and "$schema" in schema
        self._schema: Any = {key: value for key, value in schema.items() if key != "$schema"} if named else schema
        if schema is None:
            self._schema = {"type": "object", "properties": {}}
        self._validator: Validator | None = None

    @property
    def properties(self) -> dict[str, Any]:
        declared = self._schema.get("properties") if isinstance(self._schema, dict) else None
        return declared if isinstance(declared, dict) else {}

    def fitted(self, arguments: Any) -> dict[str, Any]:
        """Return the arguments, repaired where that loses nothing. Raises DoesNotFit."""
        if not isinstance(arguments, dict):
            raise DoesNotFit("the arguments are no object")
        return self._checked(
            arguments if self._fits(arguments, self._schema) else self._repaired(arguments, self._schema, 0)
        )

    def fitted_texts(self, arguments: dict[str, str]) -> dict[str, Any]:
        """Return the values of arguments that were written as text.

        Raises DoesNotFit, also where a text may be two values.
        """
        made: dict[str, Any] = {}
        for key, text in arguments.items():
            if key not in self.properties and self._schema_of(key) is None:
                raise DoesNotFit(f"it has no argument {key[:80]!r}")
            made[key] = self._value_of_text(key, text, self.properties.get(key, self._schema_of(key)))
        return self._checked(made)

    # --- what fits

    def _checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(arguments, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise DoesNotFit("a text has half a character") from error
        problem = self._problem(arguments, self._schema)
        if problem is not None:
            raise DoesNotFit(problem)
        return arguments

    def _fits(self, value: Any, schema: Any) -> bool:
        return self._problem(value, schema) is None

    def _problem(self, value: Any, schema: Any) -> str | None:
        """Return what is wrong with a value, without the value."""
        try:
            error = next(iter(self._made_validator().evolve(schema=schema).iter_errors(value)), None)
        except TimeoutError as failed:
            raise DoesNotFit("a pattern of its schema cannot be checked in time") from failed
        except Exception as failed:  # noqa: BLE001  a schema that is none makes jsonschema raise what it likes
            return f"its schema cannot be checked: {type(failed).__name__}"
        if error is None:
            return None
        place = next(iter(error.absolute_path), "")  # the argument: what is below may be named by values
        missing = f", required are {error.validator_value}" if error.validator == "required" else ""
        return f"{error.validator} at /{place}{missing}"

    def _made_validator(self) -> Any:
        if self._validator is None:
            checking = validators.extend(self._draft, {"pattern": _pattern, "patternProperties": _pattern_properties})
            # A registry of its own: no schema is fetched from anywhere.
            self._validator = checking(self._schema, registry=Registry())
        return self._validator

    def _schema_of(self, key: str) -> Any:
        """Return the schema of an argument that is not declared by name, None where there can be none."""
        if not isinstance(self._schema, dict):
            return None
        for pattern, schema in (self._schema.get("patternProperties") or {}).items():
            try:
                if regex.search(pattern, key, timeout=_PATTERN_SECONDS):
                    return schema
            except (TimeoutError, regex.error) as error:
                raise DoesNotFit("a pattern of its schema cannot be checked") from error
        more = self._schema.get("additionalProperties")
        return more if isinstance(more, dict) or more is True else None

    # --- repairs

    def _value_of_text(self, key: str, text: str, schema: Any) -> Any:
        found = [text] if self._fits(text, schema) else []
        value = _meant(text)
        if not isinstance(value, str):
            repaired = self._repaired(value, schema, 0)
            if self._fits(repaired, schema):
                found.append(repaired)
        if len(found) > 1:
            raise DoesNotFit(f"the argument {key[:80]!r} could be a text or another value")
        if not found:
            raise DoesNotFit(f"the argument {key[:80]!r} is of another type")
        return found[0]

    def _repaired(self, value: Any, schema: Any, depth: int) -> Any:
        """Return the value with what came as text as what the schema wants, where there is one way to do that; else as
        it is.
        """
        schema = self._resolved(schema)
        if depth > _DEEPEST or not isinstance(schema, dict) or self._fits(value, schema):
            return value
        if isinstance(value, str):
            meant = _meant(value)
            if isinstance(meant, str):
                return value
            repaired = self._repaired(meant, schema, depth + 1)
            return repaired if self._fits(repaired, schema) else value
        for key in ("anyOf", "oneOf"):
            ways: list[Any] = []
            for branch in schema.get(key) or []:
                repaired = self._repaired(value, branch, depth + 1)
                if self._fits(repaired, schema) and repaired not in ways:
                    ways.append(repaired)
            if len(ways) == 1:
                return ways[0]
        for branch in schema.get("allOf") or []:
            value = self._repaired(value, branch, depth + 1)
        if isinstance(value, dict):
            return {key: self._repaired(inner, _property(schema, key), depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._repaired(inner, _item(schema, i), depth + 1) for i, inner in enumerate(value)]
        return value

    def _resolved(self, schema: Any) -> Any:
        """Return the schema that a pointer within this one names; it and its neighbours hold together, so both are
        tried.
        """
        seen = 0
        while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str) and seen < _DEEPEST:
            seen += 1
            target: Any = self._schema
            if not reference.startswith("#"):
                return schema
            for part in reference[1:].split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                target = target.get(part) if isinstance(target, dict) else None
            if target is None:
                return schema
            schema = target
        return schema


def _property(schema: dict[str, Any], key: str) -> Any:
    declared = schema.get("properties")
    if isinstance(declared, dict) and key in declared:
        return declared[key]
    more = schema.get("additionalProperties")
    return more if isinstance(more, dict) else True


def _item(schema: dict[str, Any], index: int) -> Any:
    first = schema.get("prefixItems", schema.get("items"))
    if isinstance(first, list):
        rest = schema.get("items") if "prefixItems" in schema else schema.get("additionalItems")
        return first[index] if index < len(first) else rest if isinstance(rest, dict) else True
    return first if isinstance(first, dict) else True


def _meant(text: str) -> Any:
    """Return the value that a text is the JSON or Python of; the text itself where it is of none."""
    word = text.strip()
    if word in _PYTHON:
        return _PYTHON[word]
    try:
        return whole_value(word)
    except NotACall:
        if word[:1] not in "[{":
            return text
    try:
        return python_value(word)
    except NotACall:
        return text


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Any:
    del schema
    if validator.is_type(value, "string") and not regex.search(pattern, value, timeout=_PATTERN_SECONDS):
        yield jsonschema.ValidationError("does not match its pattern")


def _pattern_properties(validator: Any, patterns: dict[str, Any], value: Any, schema: Any) -> Any:
    del schema
    if not validator.is_type(value, "object"):
        return
    for pattern, inner in patterns.items():
        for key, one in value.items():
            if regex.search(pattern, key, timeout=_PATTERN_SECONDS):
                yield from validator.descend(one, inner, path=key, schema_path=pattern)
