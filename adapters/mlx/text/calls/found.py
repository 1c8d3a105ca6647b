"""What a reader of calls finds, and how it says that there is nothing to find or not yet."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol


class NotACall(Exception):
    """The text is no call in this form, whatever follows it."""


class Unfinished(Exception):
    """The text may become a call when more of it is there."""


@dataclass(frozen=True)
class FoundCall:
    """A call as its form says it, before anything is checked.

    `arguments` of kind "values" have the types that JSON gave them; those of kind "texts" are texts whose types only the
    tool's schema tells; those of kind "beside" stood beside the name, among what may be no arguments.
    """

    name: str
    arguments: Any
    kind: Literal["values", "texts", "beside"] = "values"
    written: str = ""


# Calls, and where the text goes on after them.
Read = tuple[list[FoundCall], int]


class Body(Protocol):
    """A form of calls, between marks or without them."""

    def begins(self, text: str, at: int) -> bool:
        """Return whether the text from here on is in this form. Raises Unfinished where too little of it is there."""
        ...

    def read(self, text: str, at: int, final: bool) -> Read:
        """Read as many calls as stand here. Raises NotACall, or Unfinished where the text ends within one.

        `final` says that nothing follows the text.
        """
        ...


def spread(calls: list[FoundCall], ends: list[int], text: str, start: int, end: int) -> list[FoundCall]:
    """Return the calls with what was written for each: pieces of `text[start:end]` that add up to it, cut at `ends`."""
    places = [start, *ends[:-1], end]
    return [replace(call, written=text[places[i] : places[i + 1]]) for i, call in enumerate(calls)]


def skip_space(text: str, at: int, also: str = "") -> int:
    """Return the place of the first character from `at` on that is no white space, nor one of `also`."""
    while at < len(text) and (text[at].isspace() or text[at] in also):
        at += 1
    return at


def starts(text: str, at: int, word: str) -> bool:
    """Return whether the word stands here. Raises Unfinished where the text ends within it."""
    if text.startswith(word, at):
        return True
    if at + len(word) > len(text) and word.startswith(text[at:]):
        raise Unfinished
    return False
