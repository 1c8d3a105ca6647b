"""From pieces of decoded text to an answer: reasoning apart from text, tool calls apart from both, cut at stop strings."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.mlx.text.calls.found import FoundCall
from adapters.mlx.text.calls.reader import CallReader, Opening, Seen, at_its_place


@dataclass(frozen=True)
class Markers:
    """What a model writes around its reasoning; None where it has no such thing."""

    think_start: str | None = None
    think_end: str | None = None


@dataclass(frozen=True)
class WrittenCall:
    """Calls that were written together, marks included, and how many characters of the answer's text come before them."""

    after: int
    text: str
    calls: tuple[FoundCall, ...]


class Answer(ABC):
    """An answer as it comes. Nothing is given out that may still turn out to be something else."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.text = ""
        self.reasoning = ""
        self.tool_calls: list[WrittenCall] = []
        self.stopped_by: str | None = None
        self._calls_given = 0
        self._stop = [word for word in stop if word]
        self._held = ""

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended it."""
        return self.stopped_by is not None

    def add(self, piece: str) -> tuple[str, str]:
        """Take a piece. Return the text and the reasoning that it adds for certain."""
        self._held += piece
        return self._release(final=False, cut=False)

    def finish(self, cut: bool = False) -> tuple[str, str]:
        """Give what was held back: the answer is over, or was `cut` before its end."""
        return self._release(final=True, cut=cut)

    def closed_calls(self) -> list[WrittenCall]:
        """Return the calls that were closed since this was last asked."""
        closed = self.tool_calls[self._calls_given :]
        self._calls_given += len(closed)
        return closed

    @abstractmethod
    def _release(self, final: bool, cut: bool) -> tuple[str, str]:
        """Give out what is certain of what is held: text and reasoning."""

    def _up_to_stop(self, piece: str) -> str:
        """Return the piece up to the first stop string, which ends the answer."""
        at, found = first(piece, self._stop)
        if found is not None:
            self.stopped_by, self._held = found, ""
        return piece[:at]


class AnswerText(Answer):
    """An answer whose reasoning and calls stand between markers.

    Reasoning is looked for before the answer's first word only: afterwards its marker is text like any other.
    """

    def __init__(
        self,
        markers: Markers,
        *,
        in_reasoning: bool = False,
        calls: CallReader | None = None,
        stop: Sequence[str] = (),
    ) -> None:
        super().__init__(stop)
        self._markers, self._calls = markers, calls
        self._begun = False
        self._thought = False
        self._in_reasoning = in_reasoning
        # The opening that what is held begins with, and how much of it was looked at last.
        self._opening: Opening | None = None
        self._looked_at = 0

    def _release(self, final: bool, cut: bool) -> tuple[str, str]:
        text, reasoning = len(self.text), len(self.reasoning)
        while self.stopped_by is None:
            if self._opening is not None:
                more = self._thought_call(final, cut) if self._in_reasoning else self._call(final, cut)
            else:
                more = self._words(final)
            if not more:
                break
        return self.text[text:], self.reasoning[reasoning:]

    # --- text and reasoning

    def _words(self, final: bool) -> bool:
        """Give out the words up to the next marker; False when there is none yet."""
        words = self._watched()
        at, found = first(self._held, words)
        opening = self._next_opening(at, found)
        if opening is not None:
            at = opening[0]
        elif found is None:
            at = len(self._held) - (0 if final else self._possible_start(words))
        if opening is not None:
            self._take(self._held[:at])
            self._held = self._held[at:]
            longer = (one.word for one in self._openings() if one.word.startswith(self._held))
            if not final and any(word != self._held for word in longer):
                return False  # it may be a longer one
            self._opening, self._looked_at = opening[1], 0
            return True
        piece, self._held = self._held[:at], self._held[at + len(found or "") :]
        late = found == self._markers.think_start and not self._in_reasoning and bool(piece.strip())
        self._take(piece + (found or "") if late else piece)
        if found is not None and not late:
            self._switch(found)
        return found is not None

    def _watched(self) -> list[str]:
        """Return the strings that mean something where the answer is now, beside those that may begin a call."""
        markers = self._markers
        if self._in_reasoning:
            return [markers.think_end] if markers.think_end else []
        return [*self._stop, *([markers.think_start] if markers.think_start and not self._begun else [])]

    def _openings(self) -> list[Opening]:
        if self._calls is None:
            return []
        return self._calls.marks if self._in_reasoning else self._calls.openings

    def _next_opening(self, before: int, found: str | None) -> tuple[int, Opening] | None:
        """Return where a call may begin before the marker that was found, the longest opening where several begin
        there.
        """
        text, best = self.text, None
        for opening in self._openings():
            at = self._held.find(opening.word)
            while at >= 0 and not at_its_place(opening, text + self._held[:at]):
                at = self._held.find(opening.word, at + 1)
            if at >= 0 and (best is None or (at, -len(opening.word)) < best[:2]):
                best = (at, -len(opening.word), opening)
        if best is None or best[0] > before or (best[0] == before and found and len(found) > -best[1]):
            return None
        return best[0], best[2]

    def _possible_start(self, words: list[str]) -> int:
        """Return the length of the longest end of what is held that a marker, or an opening at its place, may begin
        with.
        """
        text, keep = self.text, possible_start(self._held, words)
        for opening in self._openings():
            size = possible_start(self._held, [opening.word])
            if size > keep and at_its_place(opening, text + self._held[:-size]):
                keep = size
        return keep

    def _take(self, piece: str) -> None:
        if self._in_reasoning:
            self.reasoning += piece if self.reasoning else piece.lstrip("\n")
            return
        if self._thought and not self.text:
            piece = piece.lstrip("\n")
        self._begun = self._begun or bool(piece.strip())
        self.text += piece

    def _switch(self, found: str) -> None:
        if self._in_reasoning:
            self.reasoning = self.reasoning.rstrip("\n")
            self._in_reasoning, self._thought = False, True
        elif found in self._stop:
            self.stopped_by, self._held = found, ""
        else:
            self._in_reasoning, self._begun = True, True

    # --- calls

    def _call(self, final: bool, cut: bool) -> bool:
        """Give out what begins with an opening, once it is known to be calls or text; False until then."""
        assert self._calls is not None
        assert self._opening is not None
        if not final and not self._calls.worth_reading(self._held, self._opening, self._looked_at):
            return False
        self._looked_at = len(self._held)
        seen = self._calls.see(self._held, self._opening, self.text, final=final, cut=cut)
        if seen is None:
            return False
        self._opening = None
        for one in seen:
            piece, self._held = self._held[: one.length], self._held[one.length :]
            self._place(one, piece)
        return True

    def _place(self, seen: Seen, piece: str) -> None:
        if self.stopped_by is not None:
            return
        self._begun = True
        if seen.calls:
            self.tool_calls.append(WrittenCall(len(self.text), piece, _whole(piece, seen.calls)))
        else:
            self._take(self._up_to_stop(piece))

    def _thought_call(self, final: bool, cut: bool) -> bool:
        """Return a call within reasoning is one only if the reasoning ends with it and never says that it ends."""
        assert self._calls is not None
        end = self._markers.think_end
        if end and (place := self._held.find(end)) >= 0:
            self._take(self._held[:place])
            self._held, self._opening = self._held[place:], None
            return True
        if not final:
            return False
        blocks = None if cut else self._only_calls()
        rest, self._held, self._opening = self._held, "", None
        if blocks is None:
            self._take(rest)
            return False
        self.reasoning = self.reasoning.rstrip("\n")
        self._in_reasoning = False
        for seen in blocks:
            self._place(seen, rest[: seen.length])
            rest = rest[seen.length :]
        return False

    def _only_calls(self) -> list[Seen] | None:
        """Return the calls that what is held consists of, white space aside; None when it has anything else."""
        assert self._calls is not None
        left, made = self._held, list[Seen]()
        while left.strip():
            space = len(left) - len(left.lstrip())
            opening = next((one for one in self._calls.marks if left.startswith(one.word, space)), None)
            seen = opening and self._calls.see(left[space:], opening, "", final=True)
            if not seen or not seen[0].calls:
                return None
            made.append(Seen(space + seen[0].length, seen[0].calls))
            left = left[space + seen[0].length :]
        return made


def _whole(piece: str, calls: tuple[FoundCall, ...]) -> tuple[FoundCall, ...]:
    """Return the calls with the marks around them as part of what was written for the first and the last."""
    before, _, after = piece.partition("".join(call.written for call in calls))
    made = [replace(calls[0], written=before + calls[0].written), *calls[1:]]
    return (*made[:-1], replace(made[-1], written=made[-1].written + after))


def first(text: str, words: Sequence[str]) -> tuple[int, str | None]:
    """Return where the first of the words stands in the text, the longest where several begin there."""
    found = [(at, -len(word), word) for word in words if (at := text.find(word)) >= 0]
    if not found:
        return len(text), None
    at, _, word = min(found)
    return at, word


def possible_start(text: str, words: Sequence[str]) -> int:
    """Return the length of the longest end of the text that one of the words may begin with."""
    longest = min(max((len(word) for word in words), default=1) - 1, len(text))
    ends = (text[-size:] for size in range(longest, 0, -1))
    return next((len(end) for end in ends if any(word.startswith(end) for word in words)), 0)


def markers_of(tokenizer: Any) -> Markers:
    """Return the markers of an `mlx_lm` tokenizer."""
    return Markers(tokenizer.think_start, tokenizer.think_end)
