"""Packing what is spoken in a sound into windows that a speech model reads one at a time: each moment of speech once.

A detector finds speech. Stretches of it, with a margin on both sides, are put one after another until a window is full;
the silence between them is left out, and so is hum, noise and music alone. Each window knows where in the file its
pieces are from.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adapters.media.sound import RATE
from adapters.media.speech_detector import PIECE, SpeechDetector

# Seconds. No model hears more than half a minute at once.
LONGEST = 29.9
# What is kept on both sides of speech: silence of over twice this is left out.
MARGIN = 0.3
# A pause in which speech that is too long for a window is cut.
PAUSE = 0.2
# A window that is filled to this part is not filled up with the beginning of a longer stretch.
_FULL = 0.6
# After so much without speech a window is given as it is, and so often one without speech, for what is known of progress.
_PATIENCE = 60.0
# Speech begins at a piece with the first probability, and goes on while there is the second.
_BEGINS, _GOES_ON = 0.5, 0.3
_MARGIN = int(MARGIN * RATE)
_SMALL_FRAME = RATE // 50

# (samples of whole pieces) -> the probability of speech in each; called with one part of the sound after another.
Detector = Callable[[np.ndarray], np.ndarray]
# From second to second of the file.
Span = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """Samples of a window that follow one another in the file, from its sample number `start` on."""

    start: int
    count: int


@dataclass(frozen=True)
class Window:
    """Samples to hear, put together from `pieces` of the file. One without samples had no speech, up to `end`.

    Times are seconds of the file. `end` is up to where the file is known, `speech` where somebody speaks in the window.
    After the `last` window nothing comes: what is not heard in it is not heard at all.
    """

    start: float
    end: float
    samples: np.ndarray
    last: bool = False
    pieces: Sequence[Piece] = ()
    speech: Sequence[Span] = ()

    @property
    def silent(self) -> bool:
        return not len(self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    @property
    def stop(self) -> int:
        """The sample of the file after its last one; 0 for a window without samples."""
        return self.pieces[-1].start + self.pieces[-1].count if self.pieces else 0

    def _pieces(self) -> Sequence[Piece]:
        return self.pieces or (Piece(round(self.start * RATE), len(self.samples)),)

    def at(self, seconds: float, *, ending: bool = False) -> float:
        """Return the time in the file of a moment of the window; of one between two pieces the end of the first, if
        something is `ending` there, else the beginning of the second.
        """
        wanted = min(max(seconds, 0.0), self.seconds) * RATE
        pieces = self._pieces()
        for piece in pieces:
            if wanted < piece.count or (ending and wanted <= piece.count):
                return (piece.start + wanted) / RATE
            wanted -= piece.count
        return (pieces[-1].start + pieces[-1].count) / RATE

    def place(self, time: float) -> float:
        """Return the moment of the window, in seconds, at which it has a time of the file, or what comes next after it."""
        before, wanted = 0, time * RATE
        for piece in self._pieces():
            if wanted < piece.start + piece.count:
                return (before + max(0.0, wanted - piece.start)) / RATE
            before += piece.count
        return before / RATE

    def excerpt(self, spans: Iterable[Span]) -> "Window":
        """Return a last window of what this one has of these spans of the file, with a margin where it has one."""
        parts, samples, speech = list[Piece](), list[np.ndarray](), list[Span]()
        for begin, end in spans:
            first, beyond = round(begin * RATE) - _MARGIN, round(end * RATE) + _MARGIN
            offset = 0
            for piece in self._pieces():
                earliest = max(first, piece.start, parts[-1].start + parts[-1].count if parts else 0)
                latest = min(beyond, piece.start + piece.count)
                if earliest < latest:
                    parts.append(Piece(earliest, latest - earliest))
                    samples.append(self.samples[offset + earliest - piece.start : offset + latest - piece.start])
                offset += piece.count
            speech += [(max(a, begin), min(b, end)) for a, b in self.speech if a < end and b > begin]
        start = parts[0].start / RATE if parts else self.start
        return Window(start, self.end, _joined(samples), True, tuple(parts), tuple(speech))

    def after(self, time: float) -> "Window":
        """Return what is left of the window from a time of the file on; at least a moment of it is not."""
        cut = max(round(self.place(time) * RATE), min(PIECE, len(self.samples)))
        parts, passed = list[Piece](), 0
        for piece in self._pieces():
            skipped = min(max(cut - passed, 0), piece.count)
            if skipped < piece.count:
                parts.append(Piece(piece.start + skipped, piece.count - skipped))
            passed += piece.count
        begin = parts[0].start / RATE if parts else self.end
        speech = tuple((max(a, begin), b) for a, b in self.speech if b > begin)
        return Window(begin, self.end, self.samples[cut:], pieces=tuple(parts), speech=speech)


def windows(
    chunks: Iterable[np.ndarray], longest: float = LONGEST, detector: Detector | None = None
) -> Generator[Window, float | None, None]:
    """Pack the speech of a stream of samples into windows of up to `longest` seconds.

    Who could not hear a window to its end may send the time, in seconds, from which on it is to be given again, together
    with what follows.
    """
    stream = _Stream(detector or SpeechDetector())
    packed, position, told, most = _NOTHING, 0, 0, int(longest * RATE)
    for chunk in _and_end(chunks):
        stream.take(chunk)
        while (found := stream.stretch(position)) is not None:
            begin, end, closed = found
            cut = _cut(stream, begin, end, closed, most, len(packed.samples))
            if cut is None:
                break
            if cut > begin:
                packed, position = _with(packed, stream, begin, cut), cut
            if cut < end:
                again = yield replace(packed, end=position / RATE)
                told, packed = position, _NOTHING if again is None else packed.after(again)
        else:
            # Speech that comes next may reach back into the margin.
            position = max(position, stream.end - (0 if stream.ended else 2 * _MARGIN))
        if not stream.ended and position - max(told, packed.stop) > _PATIENCE * RATE:
            again = yield replace(packed, end=position / RATE)
            told, packed = position, _NOTHING if again is None else packed.after(again)
        stream.forget(position)
    yield replace(packed, end=stream.end / RATE, last=True)


_NOTHING = Window(0.0, 0.0, np.zeros(0, np.float32))


def _and_end(chunks: Iterable[np.ndarray]) -> Generator[np.ndarray | None, None, None]:
    yield from chunks
    yield None


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _with(packed: Window, stream: "_Stream", begin: int, end: int) -> Window:
    """Return the window with one more piece of the stream."""
    return Window(
        packed.start if packed.pieces else begin / RATE,
        end / RATE,
        np.concatenate([packed.samples, stream.samples(begin, end)]),
        pieces=(*packed.pieces, Piece(begin, end - begin)),
        speech=(*packed.speech, *stream.spoken(begin, end)),
    )


def _cut(stream: "_Stream", begin: int, end: int, closed: bool, most: int, packed: int) -> int | None:
    """Return up to which sample a stretch goes into a window that has `packed` samples already.

    That is `begin` when it is better begun in the next window, and None while more of the sound is needed to say.
    """
    room = most - packed
    if end - begin <= room:
        return end if closed else None
    if packed >= _FULL * most:
        return begin
    least = RATE if packed else int(_FULL * most)
    pauses = [(a + b) // 2 for a, b in stream.pauses(begin, begin + room)]
    late = [middle for middle in pauses if middle - begin >= least]
    if late:
        return late[-1]
    return begin if packed else begin + _quietest(stream.samples(begin, begin + room))


def _quietest(samples: np.ndarray) -> int:
    """Return the middle of the quietest 0.2 s in the last third."""
    frames = np.square(samples[: len(samples) // _SMALL_FRAME * _SMALL_FRAME]).reshape(-1, _SMALL_FRAME).mean(axis=1)
    smooth = np.convolve(frames, np.ones(10), mode="same")
    first = len(frames) * 2 // 3
    return (first + int(np.argmin(smooth[first : len(frames) - 5]))) * _SMALL_FRAME


class _Stream:
    """The part of the sound that is held, and where somebody speaks in it. All positions are samples of the file."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._sound, self._begin = np.zeros(0, np.float32), 0  # begins with a piece of the detector
        self._flags = np.zeros(0, bool)  # for each piece that the detector has seen
        self._on = False
        self.ended = False

    @property
    def end(self) -> int:
        """Up to where it is known whether somebody speaks."""
        return min(self._begin + len(self._flags) * PIECE, self._begin + len(self._sound))

    def take(self, chunk: np.ndarray | None) -> None:
        """Take the next samples, or None at the end of the file."""
        if chunk is not None:
            self._sound = np.concatenate([self._sound, np.nan_to_num(chunk, nan=0.0, posinf=0.0, neginf=0.0)])
        seen = len(self._flags) * PIECE
        new = self._sound[seen:]
        if chunk is None:
            self.ended = True
            new = np.pad(new, (0, -len(new) % PIECE))
        new = new[: len(new) // PIECE * PIECE]
        if len(new):
            self._flags = np.append(self._flags, [self._speaks(float(one)) for one in self._detector(new)])

    def _speaks(self, probability: float) -> bool:
        self._on = probability >= (_GOES_ON if self._on else _BEGINS)
        return self._on

    def stretch(self, position: int) -> tuple[int, int, bool] | None:
        """Return the next speech from a position on, with its margin, and whether its end is known; None without."""
        runs = _runs(self._flags[(position - self._begin) // PIECE :])
        if not runs:
            return None
        offset = (position - self._begin) // PIECE * PIECE + self._begin
        first, beyond = runs[0]
        for begin, end in runs[1:]:
            if (begin - beyond) * PIECE > 2 * _MARGIN:
                break
            beyond = end
        stop = offset + beyond * PIECE
        closed = self.ended or self.end - stop > 2 * _MARGIN
        begin, end = max(position, offset + first * PIECE - _MARGIN), min(self.end, stop + _MARGIN)
        # The last piece of a file goes on beyond its end.
        return (begin, end, closed) if begin < end else None

    def pauses(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return where nobody speaks for a while between two positions."""
        first = (begin - self._begin) // PIECE
        quiet = _runs(~self._flags[first : (end - self._begin) // PIECE])
        offset = self._begin + first * PIECE
        return [(offset + a * PIECE, offset + b * PIECE) for a, b in quiet if (b - a) * PIECE >= PAUSE * RATE]

    def spoken(self, begin: int, end: int) -> list[Span]:
        """Return where somebody speaks between two positions, in seconds."""
        first = (begin - self._begin) // PIECE
        runs = _runs(self._flags[first : -((self._begin - end) // PIECE)])
        offset = self._begin + first * PIECE
        found = [(max(begin, offset + a * PIECE), min(end, offset + b * PIECE)) for a, b in runs]
        return [(a / RATE, b / RATE) for a, b in found if a < b]

    def samples(self, begin: int, end: int) -> np.ndarray:
        return self._sound[begin - self._begin : end - self._begin]

    def forget(self, position: int) -> None:
        """Drop what comes before a position."""
        pieces = (position - self._begin) // PIECE
        self._sound, self._flags = self._sound[pieces * PIECE :], self._flags[pieces:]
        self._begin += pieces * PIECE


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return runs of true values as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
