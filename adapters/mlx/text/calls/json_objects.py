"""Calls that are JSON objects with a name and arguments: Qwen, Hermes, Granite, Llama 3, Phi, Command, Mistral's lists.

Several stand one after another, or in a list.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from adapters.mlx.text.calls.found import FoundCall, NotACall, Read, Unfinished, skip_space, spread
from adapters.mlx.text.calls.strict_json import read_value, whole_value

_NAMES = ("name", "tool_name", "function", "tool")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
# What may stand in a call without being an argument.
BESIDE_CALLS = frozenset({"id", "type", "index", "call_id", "tool_call_id"})
_FIRST_KEYS = "|".join((*_NAMES, *_ARGUMENTS, *BESIDE_CALLS))
_OBJECT = re.compile(r'\[?\s*\{\s*"(?:' + _FIRST_KEYS + r')"\s*:')
_NAMED = re.compile(r'\[?\s*\{\s*"(?:' + "|".join(_NAMES) + r')"\s*:\s*"([^"\\]*)"')
# What a call without marks may have written of its first key, as long as nothing else is there.
_OBJECT_BEGUN = re.compile(r'\[?\s*(?:\{\s*(?:"\w{0,12}"?\s*)?)?')


class JsonObjects:
    """Objects in a row, on one line or on several, or lists of them."""

    def begins(self, text: str, at: int) -> bool:
        at = skip_space(text, at)
        if at >= len(text):
            raise Unfinished
        return text[at] in "{["

    def looks_like_a_call(self, text: str, names: Collection[str]) -> bool:
        """Return whether a text without a mark begins as the call of one of these tools may. Raises Unfinished."""
        if _OBJECT.match(text):
            named = _NAMED.match(text)
            return named is None or named[1].strip() in names
        if _OBJECT_BEGUN.fullmatch(text):
            raise Unfinished
        return False

    def read(self, text: str, at: int, final: bool) -> Read:
        del final
        start, calls, ends = at, list[FoundCall](), list[int]()
        while (place := skip_space(text, at, ",;" if calls else "")) < len(text) and text[place] in "{[":
            for value, at in _listed(text, place) if text[place] == "[" else [read_value(text, place)]:
                calls.append(called(value))
                ends.append(at)
        if not calls:
            raise NotACall("no call")
        return spread(calls, ends, text, start, at), at


def _listed(text: str, at: int) -> Iterator[tuple[Any, int]]:
    """Yield the values of a list that begins here, and where each ends; the last one's end is that of the list."""
    at = skip_space(text, at + 1)
    if text[at : at + 1] == "]":
        raise NotACall("an empty list")
    while True:
        value, at = read_value(text, at)
        called(value)  # a list of other things is given up at its first
        at = skip_space(text, at)
        if at >= len(text):
            raise Unfinished
        if text[at] == "]":
            yield value, at + 1
            return
        if text[at] != ",":
            raise NotACall("a list that does not go on as one")
        yield value, at
        at = skip_space(text, at + 1)


def called(value: Any) -> FoundCall:
    """Return the call that a JSON object says. Raises NotACall."""
    if not isinstance(value, dict):
        raise NotACall("not an object")
    for key in ("function", "tool"):
        inner = value.get(key)
        if isinstance(inner, dict) and "name" not in value and set(value) - {key} <= BESIDE_CALLS:
            return called(inner)
    key = next((key for key in _NAMES if isinstance(value.get(key), str)), None)
    if key is None:
        raise NotACall("no name")
    rest = {other: inner for other, inner in value.items() if other != key}
    for other in _ARGUMENTS:
        if other in rest and set(rest) - {other} <= BESIDE_CALLS:
            if rest[other] in (None, ""):  # no arguments, which only a tool without any may have
                return FoundCall(value[key], {one: inner for one, inner in rest.items() if one != other}, "beside")
            arguments = _object(rest[other])
            if arguments is not None:
                return FoundCall(value[key], arguments)
    return FoundCall(value[key], rest, "beside")


def _object(value: Any) -> dict[str, Any] | None:
    """Arguments that are an object, or the text of one."""
    if isinstance(value, str):
        try:
            value = whole_value(value)
        except NotACall:
            return None
    return value if isinstance(value, dict) else None
