"""Calls as FunctionGemma and Gemma 4 write them: `call:name{key:value,…}`, with keys without quotes and marks around strings."""

import re
from typing import Any

from adapters.mlx.text.calls.found import FoundCall, NotACall, Read, Unfinished, skip_space, spread, starts
from adapters.mlx.text.calls.strict_json import read_value, whole_value

_QUOTES = ("<escape>", '<|"|>')
_HEAD = re.compile(r"call:\s*([\w.-]{1,200})\s*\{")
_HEAD_BEGUN = re.compile(r"(?:c|ca|cal|call|call:\s*[\w.-]{0,200}\s*)")
_KEY = re.compile(r"\s*([^\s:,{}\[\]<\"]+)\s*:")
_BARE = re.compile(r"[^,{}\[\]<>\"\n]+")
_DEEPEST = 64


class Gemma:
    """Calls in a row. A string ends at its mark, and what follows it must go on as the form does."""

    def begins(self, text: str, at: int) -> bool:
        at = skip_space(text, at)
        if _HEAD.match(text, at):
            return True
        if at == len(text) or _HEAD_BEGUN.fullmatch(text, at):
            raise Unfinished
        return False

    def read(self, text: str, at: int, final: bool) -> Read:
        del final
        start, calls, ends = at, list[FoundCall](), list[int]()
        while head := _HEAD.match(text, skip_space(text, at, "," if calls else "")):
            arguments, at = _object(text, head.end(), 0)
            calls.append(FoundCall(head[1], arguments))
            ends.append(at)
        if not calls:
            raise NotACall("no call")
        return spread(calls, ends, text, start, at), at


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    """Return the object whose opening brace ends at `at`."""
    made: dict[str, Any] = {}
    at = _place(text, at)
    if text[at] == "}":
        return made, at + 1
    while True:
        key, at = _key(text, at)
        if key in made:
            raise NotACall("a name stands twice in an object")
        made[key], at = _value(text, at, depth + 1)
        at = _place(text, at)
        if text[at] == "}":
            return made, at + 1
        if text[at] != ",":
            raise NotACall("something follows a value")
        at += 1


def _key(text: str, at: int) -> tuple[str, int]:
    at = _place(text, at)
    for quote in _QUOTES:
        if starts(text, at, quote):
            key, at = _string(text, at, quote)
            at = _place(text, at)
            if text[at] != ":":
                raise NotACall("no value")
            return key, at + 1
    found = _KEY.match(text, at)
    if found is None:
        raise (NotACall("no key") if re.search(r"[:,{}\[\]<\"]", text[at:]) else Unfinished)
    return found[1], found.end()


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise NotACall("too deep")
    at = _place(text, at)
    for quote in _QUOTES:
        if text[at] == quote[0] and starts(text, at, quote):
            return _string(text, at, quote)
    if text[at] == "{":
        return _object(text, at + 1, depth)
    if text[at] == "[":
        return _list(text, at + 1, depth)
    if text[at] == '"':
        return read_value(text, at)
    found = _BARE.match(text, at)
    if found is None:
        raise NotACall("no value")
    if found.end() == len(text):
        raise Unfinished
    word = found[0].strip()
    try:
        return whole_value(word), found.end()
    except NotACall:
        return word, found.end()


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    made: list[Any] = []
    at = _place(text, at)
    if text[at] == "]":
        return made, at + 1
    while True:
        value, at = _value(text, at, depth + 1)
        made.append(value)
        at = _place(text, at)
        if text[at] == "]":
            return made, at + 1
        if text[at] != ",":
            raise NotACall("something follows a value")
        at += 1


def _string(text: str, at: int, quote: str) -> tuple[str, int]:
    begin = at + len(quote)
    end = text.find(quote, begin)
    if end < 0:
        raise Unfinished
    return text[begin:end], end + len(quote)


def _place(text: str, at: int) -> int:
    at = skip_space(text, at)
    if at >= len(text):
        raise Unfinished
    return at
