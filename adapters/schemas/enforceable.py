"""From a schema to the part of it that a grammar can hold an answer to.

What the grammar cannot hold is left out here and checked after the answer is written (`adapters.schemas.check`). What
could be neither is refused by its name.
"""

from typing import Any

from adapters.errors import SchemaError
from adapters.schemas.strings import ENFORCED, are_disjoint, check_pattern, is_known_format, translated
from adapters.schemas.walk import IN_PLACE, children, descendants, with_children

# Left to the check: the grammar has no way to say them.
_CHECKED_AFTER = frozenset(
    {
        "contains", "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
    }
)  # fmt: skip
# Where one value has more schemas than this, checking it takes too long.
_MOST_IN_PLACE = 4096
# Whole numbers beyond this are not all told apart by the grammar, which counts in doubles.
_EXACT = 1 << 53
_JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "contains"})


def enforceable(schema: dict[str, Any], *, lone_references: bool = False) -> dict[str, Any]:
    """Return the schema that a grammar can be made of: it allows all that the given one (of `modern`) allows, or more.

    With `lone_references` what stands beside a `$ref` is left to the check. Raises SchemaError, naming the keyword, for
    what can be neither enforced nor checked.
    """
    _refuse(schema)
    definitions = schema.get("$defs", {})

    def loosened(one: Any) -> Any:
        if isinstance(one, bool):
            return one
        if lone_references and "$ref" in one:
            return {"$ref": one["$ref"]}
        made = with_children(_exact(one, definitions), loosened)
        if len(made.get("patternProperties", ())) > 1 and not are_disjoint(tuple(made["patternProperties"])):
            made = {
                key: value for key, value in made.items() if key not in ("patternProperties", "additionalProperties")
            }
        if "pattern" in made:
            made["pattern"] = translated(made["pattern"])
        if "patternProperties" in made:
            made["patternProperties"] = {translated(name): part for name, part in made["patternProperties"].items()}
        return {key: value for key, value in made.items() if key not in _CHECKED_AFTER and _is_held(key, value, made)}

    root = {key: value for key, value in schema.items() if key != "$defs"}
    made = loosened(root)
    return made | ({"$defs": {name: loosened(one) for name, one in definitions.items()}} if definitions else {})


def _exact(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the same schema, said in keywords that the grammar knows where there are such."""
    made = dict(schema)
    if not _JOINING & set(made):  # nothing else evaluates a part of the value
        for keyword, held in (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")):
            if keyword in made and held not in made:
                made[held] = made.pop(keyword)
    names, rest = made.get("propertyNames"), made.get("additionalProperties", True)
    if names is not None and "patternProperties" not in made:
        if (listed := _listed(names, definitions)) is not None:
            known = made.get("properties", {})
            made["properties"] = {
                name: known.get(name, rest) for name in dict.fromkeys([*known, *listed]) if name in listed
            }
            made["additionalProperties"] = False
        elif isinstance(names, dict) and set(names) <= {"type", "pattern"} and "pattern" in names:
            made |= {"patternProperties": {names["pattern"]: rest}, "additionalProperties": False}
    return made


def _listed(names: Any, definitions: dict[str, Any]) -> list[str] | None:
    """Return the names that a schema of names lists; None when it lists none."""
    while isinstance(names, dict) and set(names) == {"$ref"}:
        followed = definitions.get(names["$ref"].rpartition("/")[2])
        if followed == names:
            return None
        names = followed
    if not isinstance(names, dict) or not set(names) <= {"type", "enum", "const"}:
        return None
    listed = names.get("enum", [names["const"]] if "const" in names else None)
    return [name for name in listed if isinstance(name, str)] if listed else None


def _is_held(key: str, value: Any, schema: dict[str, Any]) -> bool:
    """Return whether the grammar holds an answer to this keyword, in this schema."""
    if key == "format":
        return value in ENFORCED
    if key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return abs(value) < _EXACT
    if key in ("minProperties", "maxProperties"):
        return _counts_properties(schema)
    return True


def _counts_properties(schema: dict[str, Any]) -> bool:
    """Return whether the grammar can count an object's properties: where all that have a name are required."""
    return set(schema.get("properties", ())) <= set(schema.get("required", ()))


def _refuse(schema: dict[str, Any]) -> None:
    """Raise SchemaError for what can be neither enforced nor checked."""
    parts = list(descendants(schema))
    keywords = {key for part in parts if isinstance(part, dict) for key in part}
    if "not" in keywords:
        raise _unheld("not", "say what is allowed")
    if {"unevaluatedProperties", "patternProperties"} <= keywords:
        raise _unheld("unevaluatedProperties together with patternProperties", "use additionalProperties")
    for part in parts:
        if isinstance(part, dict):
            for pattern in [part["pattern"]] if "pattern" in part else []:
                check_pattern(pattern)
            for pattern in part.get("patternProperties", ()):
                check_pattern(pattern)
            if sum(one is True or one == {} for one in part.get("oneOf", ())) > 1:
                raise _unheld("oneOf with two schemas that allow every value", "no value can follow it")
            if "format" in part and _may_be_text(part) and not is_known_format(part["format"]):
                raise _unheld(f"format {part['format'][:100]!r}", "leave it out, or say it as a pattern")
            for number in [one for one in [part.get("const"), *part.get("enum", ())] if isinstance(one, int)]:
                if abs(number) > _EXACT:
                    raise _unheld(f"the number {str(number)[:40]}", "as a string it can be")
    _check_in_place(schema)


def _may_be_text(schema: dict[str, Any]) -> bool:
    types = schema.get("type", "string")
    return "string" in ([types] if isinstance(types, str) else types)


def _check_in_place(schema: dict[str, Any]) -> None:
    """Raise SchemaError when one value would be held to too many schemas, or to one that leads to itself."""
    definitions, counted = schema.get("$defs", {}), dict[str, int]()

    def count(one: Any, way: tuple[str, ...]) -> int:
        if not isinstance(one, dict):
            return 1
        total = 1 + sum(count(child, way) for key, child in children(one) if key in IN_PLACE)
        if "$ref" in one:
            name = one["$ref"].rpartition("/")[2]
            if name in way:
                raise SchemaError("json_schema has a $ref that leads to itself and says nothing; remove it")
            if name not in counted:
                counted[name] = count(definitions[name], (*way, name))
            total += counted[name]
        if total > _MOST_IN_PLACE:
            raise SchemaError(
                f"json_schema holds one value to over {_MOST_IN_PLACE} schemas ($ref, allOf, anyOf, oneOf within one another); flatten it"
            )
        return total

    for one in (schema, *definitions.values()):
        for part in descendants(
            {key: value for key, value in one.items() if key != "$defs"} if isinstance(one, dict) else one
        ):
            count(part, ())


def _unheld(what: str, way_out: str) -> SchemaError:
    return SchemaError(
        f"json_schema asks for what cannot be enforced: {what}. Leave that part out and check it after the call; {way_out}"
    )
