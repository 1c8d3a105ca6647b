"""Changing one member of a JSON text and leaving every other character: comments, order, indentation, line ends.

Reads JSON, and JSON with comments and trailing commas where that is allowed, as VS Code writes it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_ATOM = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")
_DEEPEST = 200


class JsonTextError(ValueError):
    """The text is no JSON. The message says where."""


@dataclass
class _Value:
    """A value and where it stands. An object has its members by name, with where each begins."""

    value: Any
    start: int
    end: int = 0
    members: dict[str, tuple[int, "_Value"]] = field(default_factory=dict)


class _Reader:
    def __init__(self, text: str, comments: bool) -> None:
        self._text, self._comments = text, comments

    def whole(self) -> _Value:
        value = self._value(self.blank(0), 0)
        if (end := self.blank(value.end)) != len(self._text):
            raise self._error(end, "something follows the end of the object")
        return value

    def blank(self, at: int) -> int:
        """Return where the next character stands that means something."""
        while True:
            at = self._match(_SPACE, at).end()  # pyright: ignore[reportOptionalMemberAccess]  it matches nothing, too
            comment = self._match(_COMMENT, at) if self._comments else None
            if comment is None:
                return at
            at = comment.end()

    def _match(self, pattern: "re.Pattern[str]", at: int) -> "re.Match[str] | None":
        return pattern.match(self._text, at)

    def _value(self, at: int, depth: int) -> _Value:
        if depth > _DEEPEST:
            raise self._error(at, f"nested more than {_DEEPEST} deep")
        opening = self._text[at : at + 1]
        if opening == "{":
            return self._object(at, depth)
        if opening == "[":
            return self._array(at, depth)
        found = self._match(_STRING, at) or self._match(_ATOM, at)
        if found is None:
            raise self._error(at, "a value was expected")
        try:
            return _Value(json.loads(found.group()), at, found.end())
        except ValueError as error:
            raise self._error(at, str(error)) from error

    def _object(self, start: int, depth: int) -> _Value:
        made = _Value({}, start)
        at = self.blank(start + 1)
        while not self._text.startswith("}", at):
            key = self._match(_STRING, at)
            if key is None:
                raise self._error(at, "a name in double quotes was expected")
            colon = self.blank(key.end())
            if not self._text.startswith(":", colon):
                raise self._error(colon, "a colon was expected")
            value = self._value(self.blank(colon + 1), depth + 1)
            name = json.loads(key.group())
            if name in made.members:
                raise self._error(at, f"{name!r} is there twice")
            made.members[name], made.value[name] = (at, value), value.value
            at = self._next(value.end, "}")
        made.end = at + 1
        return made

    def _array(self, start: int, depth: int) -> _Value:
        made = _Value([], start)
        at = self.blank(start + 1)
        while not self._text.startswith("]", at):
            item = self._value(at, depth + 1)
            made.value.append(item.value)
            at = self._next(item.end, "]")
        made.end = at + 1
        return made

    def _next(self, at: int, closing: str) -> int:
        """Past the comma, where the next member or the closing stands."""
        at = self.blank(at)
        if self._text.startswith(",", at):
            at = self.blank(at + 1)
            if self._text.startswith(closing, at) and not self._comments:
                raise self._error(at, "a comma stands before the end")
        elif not self._text.startswith(closing, at):
            raise self._error(at, f"a comma or {closing!r} was expected")
        return at

    def _error(self, at: int, problem: str) -> JsonTextError:
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        return JsonTextError(f"line {line}, column {column}: {problem}")


def read(text: str, comments: bool) -> dict[str, Any]:
    """Return the object that the text is; an empty text is an empty object. Raises JsonTextError."""
    return _read(text, comments).value


def _read(text: str, comments: bool) -> _Value:
    whole = _Reader(text if text.strip() else "{}", comments).whole()
    if not isinstance(whole.value, dict):
        raise JsonTextError("line 1, column 1: the whole is not an object")
    return whole


def with_member(text: str, path: Sequence[str], value: Any, comments: bool) -> str:
    """Return the text with the member of that path set, objects on the way made where they are missing.

    Raises JsonTextError.
    """
    text = text if text.strip() else "{\n}\n"
    inner, depth = _descend(text, path, comments)
    for name in reversed(path[depth + 1 :]):
        value = {name: value}
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _indent_unit(text)
    indent = _indent_at(text, inner.start) + unit
    written = _dumped(value, indent, unit, newline)
    if path[depth] in inner.members:
        _, old = inner.members[path[depth]]
        changed = text[: old.start] + written + text[old.end :]
    else:
        changed = _inserted(
            text, inner, f"{json.dumps(path[depth], ensure_ascii=False)}: {written}", indent, newline, comments
        )
    return changed


def without_member(text: str, path: Sequence[str], comments: bool) -> str:
    """Return the text without the member of that path; as it is when there is none. Raises JsonTextError."""
    inner, depth = _descend(text, path, comments)
    if depth != len(path) - 1 or path[-1] not in inner.members:
        return text
    start, value = inner.members[path[-1]]
    reader = _Reader(text, comments)
    after = reader.blank(value.end)
    end = value.end
    if text.startswith(",", after):
        end = after + 1
    elif (comma := text.rfind(",", inner.start, start)) >= 0 and reader.blank(comma + 1) == start:
        text, removed = text[:comma] + text[comma + 1 :], 1
        start, end = start - removed, end - removed
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip():
        start = line
        rest = re.compile(r"[ \t]*\r?\n").match(text, end)
        end = rest.end() if rest else end
    return text[:start] + text[end:]


def _descend(text: str, path: Sequence[str], comments: bool) -> tuple[_Value, int]:
    """Return the innermost object on the path that is there, and which name of the path is a member of it."""
    inner = _read(text, comments)
    for depth, name in enumerate(path[:-1]):
        found = inner.members.get(name)
        if found is None:
            return inner, depth
        if not isinstance(found[1].value, dict):
            raise JsonTextError(f"{name!r} is not an object")
        inner = found[1]
    return inner, len(path) - 1


def _inserted(text: str, inner: _Value, member: str, indent: str, newline: str, comments: bool) -> str:
    """Return the text with a member put after the last one of an object."""
    if not inner.members:
        closing = newline + _indent_at(text, inner.start)
        blank = text[inner.start + 1 : inner.end - 1]
        kept = blank.rstrip() if blank.strip() else ""  # comments in an object that is otherwise empty
        return f"{text[: inner.start + 1]}{kept}{newline}{indent}{member}{closing}{text[inner.end - 1 :]}"
    last = max(value.end for _, value in inner.members.values())
    after = _Reader(text, comments).blank(last)
    trailing = text.startswith(",", after)
    at = after + 1 if trailing else last
    beside = _rest_of_line(text, at)
    first, closing = (text[:at], ",") if trailing else (f"{text[:at]},", "")
    return f"{first}{beside}{newline}{indent}{member}{closing}{text[at + len(beside) :]}"


def _rest_of_line(text: str, at: int) -> str:
    """A comment that stands behind a member on its line stays with it."""
    found = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/)").match(text, at)
    return found.group() if found else ""


def _indent_at(text: str, at: int) -> str:
    """Return the white space that the line of that place begins with."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_unit(text: str) -> str:
    found = re.search(r"\n([ \t]+)\S", text)
    return found.group(1) if found else "  "


def _dumped(value: Any, indent: str, unit: str, newline: str) -> str:
    text = json.dumps(value, indent=unit if "\t" in unit else len(unit), ensure_ascii=False)
    return text.replace("\n", newline + indent)
