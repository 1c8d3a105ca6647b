"""From pieces of decoded text to an answer: reasoning apart from text, tool calls apart from both, cut at stop strings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.mlx.text.tools import call_form


@dataclass(frozen=True)
class Markers:
    """What a model writes around its reasoning and its tool calls; None where it has no such thing."""

    think_start: str | None = None
    think_end: str | None = None
    tool_start: str | None = None
    tool_end: str | None = None


@dataclass
class WrittenCall:
    """What stands between the markers of a call, and how many characters of the answer's text come before it."""

    after: int
    text: str = ""
    closed: bool = False


class AnswerText:
    """Takes an answer's text as it comes. Nothing is given out that a marker or stop string may still turn out to be.

    Reasoning is looked for before the answer's first word only: afterwards its marker is text like any other.
    """

    def __init__(
        self, markers: Markers, *, in_reasoning: bool = False, tools: bool = False, stop: Sequence[str] = ()
    ) -> None:
        self.text = ""
        self.reasoning = ""
        self.tool_calls: list[WrittenCall] = []
        self._calls_given = 0
        self.stopped_by: str | None = None
        self._markers = markers
        self._tools = tools and markers.tool_start is not None
        self._stop = [word for word in stop if word]
        self._held = ""
        self._begun = False
        self._thought = False
        self._mode = "reasoning" if in_reasoning else "text"

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended it."""
        return self.stopped_by is not None

    def add(self, piece: str) -> tuple[str, str]:
        """Take a piece; give the text and the reasoning that it adds for certain."""
        self._held += piece
        return self._release(final=False)

    def finish(self) -> tuple[str, str]:
        """Give what was held back: the answer is over."""
        return self._release(final=True)

    def closed_calls(self) -> list[WrittenCall]:
        """The calls that were closed since this was last asked."""
        if len(self.tool_calls) == self._calls_given:
            return []
        closed = [call for call in self.tool_calls[self._calls_given :] if call.closed]
        self._calls_given += len(closed)
        return closed

    def _release(self, final: bool) -> tuple[str, str]:
        text = reasoning = ""
        while self.stopped_by is None:
            watched = self._watched()
            at, found = _first(self._held, watched)
            if found is None:
                keep = 0 if final else _possible_start(self._held, watched)
                at = len(self._held) - keep
            piece, self._held = self._held[:at], self._held[at + len(found or "") :]
            late = found == self._markers.think_start and self._mode == "text" and bool(piece.strip())
            added = self._take(piece + (found or "") if late else piece)
            text, reasoning = text + added[0], reasoning + added[1]
            if found is None:
                break
            if not late:
                self._switch(found)
        return text, reasoning

    def _watched(self) -> list[str]:
        """The strings that mean something where the answer is now."""
        markers = self._markers
        if self._mode == "reasoning":
            return [markers.think_end] if markers.think_end else []
        if self._mode == "tool":
            return [markers.tool_end] if markers.tool_end else []
        watched = list(self._stop)
        if not self._begun and markers.think_start:
            watched.append(markers.think_start)
        if self._tools and markers.tool_start:
            watched.append(markers.tool_start)
        return watched

    def _take(self, piece: str) -> tuple[str, str]:
        if self._mode == "reasoning":
            piece = piece if self.reasoning else piece.lstrip("\n")
            self.reasoning += piece
            return "", piece
        if self._mode == "tool":
            self.tool_calls[-1].text += piece
            return "", ""
        if self._thought and not self.text:
            piece = piece.lstrip("\n")
        self._begun = self._begun or bool(piece.strip())
        self.text += piece
        return piece, ""

    def _switch(self, found: str) -> None:
        if self._mode == "reasoning":
            self.reasoning = self.reasoning.rstrip("\n")
            self._mode, self._thought = "text", True
        elif self._mode == "tool":
            self._mode = "text"
            self.tool_calls[-1].closed = True
        elif found in self._stop:
            self.stopped_by, self._held = found, ""
        elif found == self._markers.think_start and not self._begun:
            self._mode, self._begun = "reasoning", True
        else:
            self._mode = "tool"
            self.tool_calls.append(WrittenCall(len(self.text)))


def _first(text: str, words: Sequence[str]) -> tuple[int, str | None]:
    """Where the first of the words stands in the text, the longest where several begin there."""
    found = [(at, -len(word), word) for word in words if (at := text.find(word)) >= 0]
    if not found:
        return len(text), None
    at, _, word = min(found)
    return at, word


def _possible_start(text: str, words: Sequence[str]) -> int:
    """The length of the longest end of the text that one of the words may begin with."""
    longest = min(max((len(word) for word in words), default=1) - 1, len(text))
    ends = (text[-size:] for size in range(longest, 0, -1))
    return next((len(end) for end in ends if any(word.startswith(end) for word in words)), 0)


def markers_of(tokenizer: Any) -> Markers:
    """The markers of an `mlx_lm` tokenizer."""
    calls = call_form(tokenizer)
    return Markers(tokenizer.think_start, tokenizer.think_end, calls.start, calls.end)
