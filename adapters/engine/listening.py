"""Hearing windows so that no speech is passed over: what a model wrote down is held against where somebody speaks."""

import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.media.windows import Span, Window
from adapters.mlx.speech.heard import Heard
from adapters.protocol.transcription import Segment, Stretch

# Speech without a segment over it is heard again from this length on, in seconds; the times of segments are this wrong.
LEAST_UNHEARD = 0.4
_WRONG_BY = 0.3
# Beyond these, a line or a few words that come again and again are taken for a model that goes in circles.
_LINES_AGAIN, _WORDS_AGAIN, _LONGEST_PHRASE = 4, 6, 8

Listen = Callable[[Window], Awaitable[Heard]]


@dataclass
class Listening:
    """What was heard so far, and how much of the speech that is."""

    listen: Listen
    segments: list[Segment] = field(default_factory=list)
    unheard: list[Stretch] = field(default_factory=list)
    speech_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    language: str | None = None

    @property
    def coverage(self) -> float:
        """The part of the speech, by time, over which something was written down: 1 where nobody speaks."""
        missed = sum(one.end - one.start for one in self.unheard)
        return round(1 - missed / self.speech_s, 3) if self.speech_s else 1.0

    def told(self) -> dict[str, Any]:
        """Return how much of the speech was heard, as answers and files say it."""
        unheard = [one.model_dump() for one in self.unheard]
        return {"speech_s": round(self.speech_s, 2), "coverage": self.coverage, "unheard": unheard}

    async def hear(self, window: Window) -> tuple[list[Segment], float | None]:
        """Hear a window. Return its segments, and from when on it must be given again, if it was not heard to its end."""
        heard = await self.listen(window)
        segments, until = heard.segments, heard.until
        speech = [(a, min(b, until or b)) for a, b in window.speech if until is None or a < until]
        if goes_in_circles(segments):
            segments = await self._in_halves(window, segments, speech)
        missing = without_segments(speech, segments)
        if missing:
            segments = await self._again(window, segments, missing)
            missing = without_segments(speech, segments)
        self.language = self.language or (heard.language if segments else None)
        self.segments += segments
        self.unheard += [Stretch(start=round(a, 3), end=round(b, 3)) for a, b in missing]
        self.speech_s += sum(b - a for a, b in speech)
        return segments, until

    async def _again(self, window: Window, segments: list[Segment], missing: list[Span]) -> list[Segment]:
        """Return the segments with those of speech that had none, heard by itself."""
        excerpt = window.excerpt(missing)
        if len(excerpt.samples) >= len(window.samples):
            return segments  # it would hear the same again
        found = [one for one in (await self.listen(excerpt)).segments if not _said_beside(one, segments)]
        return sorted([*segments, *found], key=lambda one: (one.start, one.end))

    async def _in_halves(self, window: Window, segments: list[Segment], speech: list[Span]) -> list[Segment]:
        """Return what is heard of the halves of a window in which the model goes in circles."""
        if len(speech) > 1:
            halves = [window.excerpt(speech[: len(speech) // 2]), window.excerpt(speech[len(speech) // 2 :])]
            better = [one for half in halves for one in (await self.listen(half)).segments]
            if not goes_in_circles(better):
                return better
            segments = better
        self.notes.append(
            f"the model wrote the same words again and again from {segments[0].start:.0f} to {segments[-1].end:.0f} s: they may be made up"
        )
        return segments


def without_segments(speech: Sequence[Span], segments: Sequence[Segment]) -> list[Span]:
    """Return the parts of the speech over which there is no segment, where they are long enough for a word."""
    covered = sorted((one.start - _WRONG_BY, one.end + _WRONG_BY) for one in segments)
    found: list[Span] = []
    for begin, end in speech:
        at = begin
        for first, beyond in covered:
            if first > at and min(first, end) - at >= LEAST_UNHEARD:
                found.append((at, min(first, end)))
            at = max(at, beyond)
            if at >= end:
                break
        if end - at >= LEAST_UNHEARD:
            found.append((at, end))
    return found


def goes_in_circles(segments: Sequence[Segment]) -> bool:
    """Return whether the same line, or the same few words, come again and again without anything between them."""
    lines = [" ".join(_words(one.text)) for one in segments]
    in_a_row = 1
    for before, line in itertools.pairwise(lines):
        in_a_row = in_a_row + 1 if line and line == before else 1
        if in_a_row >= _LINES_AGAIN:
            return True
    words = [word for one in segments for word in _words(one.text)]
    return any(_repeats(words, length) for length in range(1, _LONGEST_PHRASE + 1))


def _repeats(words: list[str], length: int) -> bool:
    """Return whether a phrase of `length` words comes often in a row."""
    same = 0
    for at in range(length, len(words)):
        same = same + 1 if words[at] == words[at - length] else 0
        if same >= length * (_WORDS_AGAIN - 1):
            return True
    return False


def _said_beside(segment: Segment, segments: Sequence[Segment]) -> bool:
    """Return whether a neighbour ends, or begins, with what this segment says: times that are a little wrong."""
    said = _words(segment.text)
    before = [one for one in segments if one.start <= segment.start][-1:]
    after = [one for one in segments if one.start > segment.start][:1]
    ends = any(_words(one.text)[-len(said) :] == said for one in before)
    return not said or ends or any(_words(one.text)[: len(said)] == said for one in after)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
