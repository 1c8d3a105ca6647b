"""Calls as Llama 4, LFM2 and OLMo write them: Python calls with keywords, `[name(key="value", …), …]`."""

import ast
import re
import warnings
from typing import Any

from adapters.mlx.text.calls.found import FoundCall, NotACall, Read, Unfinished, skip_space, spread
from adapters.mlx.text.calls.strict_json import whole_value

_HEAD = re.compile(r"([A-Za-z0-9_][\w.-]{0,199})\(")
_HEAD_BEGUN = re.compile(r"[A-Za-z0-9_][\w.-]{0,199}")
_KEY = re.compile(r"([^\s=,()\[\]{}'\"]+)\s*=\s*")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_WORDS = {"true": True, "false": False, "null": None}


class Pythonic:
    """A list of calls, or, between marks, calls in a row. An argument without a keyword has no name: no call."""

    def begins(self, text: str, at: int) -> bool:
        at = skip_space(text, at)
        at = skip_space(text, at + 1) if text[at : at + 1] == "[" else at
        if _HEAD.match(text, at):
            return True
        if at >= len(text) or _HEAD_BEGUN.fullmatch(text, at):
            raise Unfinished
        return False

    def read(self, text: str, at: int, final: bool) -> Read:
        del final
        start, calls, ends = at, list[FoundCall](), list[int]()
        place = skip_space(text, at)
        listed = text[place : place + 1] == "["
        at = place + 1 if listed else place
        while head := _HEAD.match(text, skip_space(text, at, "," if calls else "")):
            arguments, at = _arguments(text, head.end())
            calls.append(FoundCall(head[1], arguments))
            ends.append(at)
        if not calls:
            raise NotACall("no call")
        if listed:
            at, following = skip_space(text, at), skip_space(text, at, ",")
            if following >= len(text) or _HEAD_BEGUN.fullmatch(text, following):
                raise Unfinished
            if text[at] != "]":
                raise NotACall("the list goes on with what is no call")
            at += 1
        return spread(calls, ends, text, start, at), at


def _arguments(text: str, at: int) -> tuple[dict[str, Any], int]:
    """Return the keywords up to the closing bracket, and the place after it."""
    made: dict[str, Any] = {}
    while True:
        at = skip_space(text, at)
        if text[at : at + 1] == ")":
            return made, at + 1
        key = _KEY.match(text, at)
        if key is None:
            raise (NotACall("an argument without a name") if re.search(r"[,()\[\]{}'\"]", text[at:]) else Unfinished)
        if key[1] in made:
            raise NotACall("a name stands twice")
        end = _end_of_value(text, key.end())
        made[key[1]] = _literal(text[key.end() : end])
        at = end + 1 if text[end] == "," else end


def _end_of_value(text: str, at: int) -> int:
    """Return where the comma or bracket after a value stands. Raises Unfinished where there is none yet."""
    open_: list[str] = []
    while at < len(text):
        char = text[at]
        if char in "'\"":
            at = skip_space(text, _end_of_string(text, at))
            if at < len(text) and text[at] not in ",:)]}":  # a quote within a string that was not escaped
                raise NotACall("something follows a string")
            continue
        if not open_ and char in ",)":
            return at
        if char in _CLOSING:
            open_.append(_CLOSING[char])
        elif char in ")]}" and (not open_ or open_.pop() != char):
            raise NotACall("brackets that do not match")
        at += 1
    raise Unfinished


def _end_of_string(text: str, at: int) -> int:
    quote, at = text[at], at + 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == quote:
            return at + 1
        else:
            at += 1
    raise Unfinished


def _literal(text: str) -> Any:
    """Return the value of a JSON or Python literal."""
    text = text.strip()
    try:
        return whole_value(text)
    except NotACall:
        return python_value(text)


def python_value(text: str) -> Any:
    """Return the value of a Python literal that JSON could hold; true, false and null stand for themselves.

    Raises NotACall.
    """
    for source in (text, text.replace("\n", "\\n")):  # a line's end within a string is taken as it stands
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
                tree = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return _plain(tree)
    raise NotACall("no literal")


def _plain(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    if isinstance(node, ast.List):
        return [_plain(one) for one in node.elts]
    if isinstance(node, ast.Dict):
        keys = [_plain(key) if key is not None else None for key in node.keys]
        if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
            raise NotACall("keys that are no texts, or one of them twice")
        return dict(zip(keys, map(_plain, node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | int | str)):
        return node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and abs(node.value) < float("inf"):
        return node.value
    raise NotACall("a value that JSON has no place for")
