"""Regular expressions and formats of schemas, matched by the engine that holds answers to them.

It takes time in proportion to the string, whatever the expression; Python's own may take for ever.
"""

import datetime
import ipaddress
import json
import re
from functools import cache, lru_cache
from typing import Any

from llguidance import LLMatcher, LLTokenizer

from adapters.errors import SchemaError

# Formats that the grammar holds an answer to, and those that say nothing of a string's form.
ENFORCED = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"}
)  # fmt: skip
FREE = frozenset(
    {
        "binary", "decimal", "directory-path", "double", "file-path", "float", "int16", "int32", "int64", "int8",
        "multi-line", "password", "path", "uint", "uint16", "uint32", "uint64", "uint8", "unknown",
    }
)  # fmt: skip
# What the engine lacks, as it stands in an expression, and what it is.
_LACKING = (
    (re.compile(r"\(\?<?[=!]"), "a look-ahead or look-behind"),
    (re.compile(r"\\[1-9]|\\k<"), "a reference to a group"),
    (re.compile(r"\\[bB]"), "a word boundary"),
)
_PART = re.compile(r"\\.|.|\\", re.DOTALL)
_SPACES = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_PLACES = {r"\s": _SPACES, r"\S": f"[^{_SPACES}]"}
_CLASS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)


def check_pattern(pattern: str) -> None:
    """Raise SchemaError when an expression cannot be matched here, with the part of it that cannot."""
    if problem := _problem(pattern):
        raise SchemaError(
            f"json_schema has the pattern {pattern[:200]!r}, which cannot be enforced: {problem}. Write it without that part"
        )


@lru_cache(maxsize=512)
def translated(pattern: str) -> str:
    """Return an expression of ECMA 262, which schemas have, in the syntax of the engine: it finds the same."""
    made, within = list[str](), False
    for part in _PART.findall(pattern):
        if part == "[" and not within:
            within = True
        elif part == "]":
            within = False
        elif part in _PLACES:
            part = _PLACES[part] if not within or part == "\\S" else _SPACES
            part = f"[{part}]" if part == _SPACES and not within else part
        elif part == ".":
            part = part if within else "[^\\n\\r\\u2028\\u2029]"
        elif within and part in "[&~":
            part = f"\\{part}"  # in the engine's classes these are operators
        made.append(part)
    return "".join(made)


def matches(pattern: str, text: str) -> bool:
    """Return whether some part of the text matches. Raises SchemaError for a pattern that cannot be matched here."""
    check_pattern(pattern)
    return _allows(json.dumps({"type": "string", "pattern": translated(pattern)}), text)


@lru_cache(maxsize=128)
def are_disjoint(patterns: tuple[str, ...]) -> bool:
    """Return whether no text matches two of these patterns, as far as the engine can tell in bounded time."""
    schema = {"type": "object", "patternProperties": {translated(pattern): {} for pattern in patterns}}
    return not LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(json.dumps(schema)))


def is_of_format(name: str, text: str) -> bool:
    """Return whether a text has a format; True for a format that says nothing of a text."""
    if name in _CHECKED:
        return _CHECKED[name](text)
    return name not in ENFORCED or _has_form(name, text)


def is_known_format(name: str) -> bool:
    """Return whether texts can be held to a format, or need not be."""
    return name in ENFORCED or name in FREE or name in _CHECKED


@lru_cache(maxsize=512)
def _problem(pattern: str) -> str | None:
    """Return what is wrong with an expression, None when it can be matched."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps({"type": "string", "pattern": translated(pattern)}))
    except ValueError:
        return "it holds half of a character (a lone surrogate)"
    error = LLMatcher.validate_grammar(grammar, _bytes())
    if not error:
        return None
    # An escaped bracket is no group, and a bracket in a class is none.
    bare = _CLASS.sub(
        lambda found: found[0] if found[0][0] == "\\" and found[0] != "\\(" else " " * len(found[0]), pattern
    )
    for part, name in _LACKING:
        if found := part.search(bare):
            return f"{name}, {found[0]!r} at character {found.start() + 1}"
    return _one_line(error)


def _one_line(error: str) -> str:
    """Return the engine's own words in one line: its message, and the place that its caret marks."""
    lines = error.strip().splitlines()
    said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])
    marked = next((i for i, line in enumerate(lines) if i and line.strip() and not line.strip(" ^")), None)
    if marked is None:
        return said[:200]
    begin, length = lines[marked].index("^"), lines[marked].count("^")
    part = lines[marked - 1][begin : begin + length]
    return f"{said[:200]}, at {part!r}" if part else said[:200]


@cache
def _bytes() -> LLTokenizer:
    """Return a tokenizer whose tokens are bytes."""
    return LLTokenizer("byte")


@lru_cache(maxsize=512)
def _matcher(schema: str) -> LLMatcher:
    return LLMatcher(_bytes(), LLMatcher.grammar_from_json_schema(schema), log_level=0)


def _allows(schema: str, text: str) -> bool:
    """Return whether a schema of a string allows this text."""
    matcher = _matcher(schema).deep_copy()
    try:
        written = list(json.dumps(text, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False
    return matcher.try_consume_tokens(written) == len(written) and matcher.is_accepting()


def _has_form(name: str, text: str) -> bool:
    return _allows(json.dumps({"type": "string", "format": name}), text)


def _is_date(text: str) -> bool:
    """Return whether the day is in the calendar: 30 February has the form of a date."""
    try:
        datetime.date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """Return whether a time of form `hh:mm:ss…zone` exists: a leap second ends a day of UTC (RFC 3339, 5.7)."""
    if text[6:8] != "60":
        return True
    zone = re.search(r"([+-])(\d\d):(\d\d)$", text)
    minutes = int(text[:2]) * 60 + int(text[3:5])
    if zone:
        minutes -= int(f"{zone[1]}1") * (int(zone[2]) * 60 + int(zone[3]))
    return minutes % 1440 == 1439


def _is_network(version: str) -> Any:
    """Return the check of an address, an interface or a network that `ipaddress` knows by that name."""

    def check(text: str) -> bool:
        try:
            getattr(ipaddress, version)(text)
        except ValueError:
            return False
        return True

    return check


def _is_ipv6(text: str) -> bool:
    return "%" not in text and text.isascii() and _is_network("IPv6Address")(text)


def _is_email(text: str) -> bool:
    """Return whether a text is a mailbox (RFC 5321, 4.1.2), which may be quoted, and at an address of IPv6."""
    name, _, place = text.rpartition("@")
    if re.fullmatch(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"', name):
        name = "quoted"
    if place.startswith("[IPv6:") and place.endswith("]") and _is_ipv6(place[6:-1]):
        place = "[127.0.0.1]"
    return _has_form("email", f"{name}@{place}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_pointer(text: str) -> bool:
    return re.fullmatch(r"(/([^~/]|~[01])*)*", text, re.DOTALL) is not None


# Checked after the answer is written: the grammar holds only the form of some, and leaves the others free.
_CHECKED: dict[str, Any] = {
    "date": lambda text: _has_form("date", text) and _is_date(text),
    "date-time": lambda text: _has_form("date-time", text) and _is_date(text) and _is_time(text[11:]),
    "email": _is_email,
    "ipv6": _is_ipv6,
    "time": lambda text: _has_form("time", text) and _is_time(text),
    "ipv4interface": _is_network("IPv4Interface"),
    "ipv4network": _is_network("IPv4Network"),
    "ipv6interface": _is_network("IPv6Interface"),
    "ipv6network": _is_network("IPv6Network"),
    "ipvanyaddress": _is_network("ip_address"),
    "ipvanyinterface": _is_network("ip_interface"),
    "ipvanynetwork": _is_network("ip_network"),
    "json-pointer": _is_pointer,
    "json-string": _is_json,
}
