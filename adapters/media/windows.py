"""Cutting sound into windows that a speech model reads one at a time: in pauses where there are some, each sample once.

A window holds sound from its first to its last audible moment; what is silent is given to no model, so that none makes
up words for it.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np

from adapters.media.sound import RATE

# Seconds. A window is cut in the last pause after SHORTEST, or where it is quietest when it gets LONGEST.
LONGEST = 29.9
SHORTEST = 18.0
PAUSE = 0.3
# A pause this long ends a window of any length.
BREAK = 3.0
MARGIN = 0.3
_FRAME = RATE // 50
# Loudness (root mean square) below which nothing can be heard: only that is left out.
_INAUDIBLE = 10 ** (-60 / 20)
# What counts as a pause to cut in, as part of the loudness of the loudest parts: there may be noise in it.
_PAUSE_PART = 0.03


@dataclass(frozen=True)
class Window:
    """Samples from `start` seconds on. One without samples was silent all along, up to `end`.

    After the `last` window nothing comes: what is not heard in it is not heard at all.
    """

    start: float
    end: float
    samples: np.ndarray
    last: bool = False

    @property
    def silent(self) -> bool:
        return not len(self.samples)


def windows(chunks: Iterable[np.ndarray]) -> Generator[Window, float | None, None]:
    """Cut a stream of samples. Their ends follow one another without gap or overlap.

    Who could not hear a window to its end may send the time, in seconds, from which on it is to be given again, together
    with what follows.
    """
    held, done = np.zeros(0, np.float32), 0
    for chunk in chunks:
        held = np.concatenate([held, np.nan_to_num(chunk, nan=0.0, posinf=0.0, neginf=0.0)])
        while (cut := _cut(held)) is not None:
            cut = min(cut, len(held))  # the last frame may be a part of one
            again = yield _window(held[:cut], done)
            used = cut if again is None else min(max(round(again * RATE) - done, _FRAME), cut)
            held, done = held[used:], done + used
    if len(held):
        yield _window(held, done, last=True)


def _window(samples: np.ndarray, offset: int, last: bool = False) -> Window:
    """Return the audible part of the samples, with a margin."""
    loud = np.flatnonzero(_loudness(samples) > _INAUDIBLE)
    start, end = offset / RATE, (offset + len(samples)) / RATE
    if not len(loud):
        return Window(start, end, np.zeros(0, np.float32), last)
    first = max(0, int(loud[0]) * _FRAME - int(MARGIN * RATE))
    beyond = min(len(samples), (int(loud[-1]) + 1) * _FRAME + int(MARGIN * RATE))
    return Window(start + first / RATE, end, samples[first:beyond], last)


def _cut(samples: np.ndarray) -> int | None:
    """Return where to cut, in samples, or None while more is needed to say."""
    seconds = len(samples) / RATE
    if seconds < BREAK:
        return None
    loudness = _loudness(samples)
    quiet = _pauses(loudness)
    for first, last in quiet:
        if (last - first) * _FRAME >= BREAK * RATE and first + MARGIN * 50 <= LONGEST * 50:
            return (last if first == 0 else first + int(MARGIN * 50)) * _FRAME
    if seconds < LONGEST:
        return None
    longest = int(LONGEST * 50)
    usable = [(first, min(last, longest)) for first, last in quiet if first < longest]
    late = [(a, b) for a, b in usable if (a + b) / 2 >= SHORTEST * 50 and b - a >= PAUSE * 50]
    if late:
        first, last = late[-1]
        return (first + last) // 2 * _FRAME
    return _quietest(loudness[:longest]) * _FRAME


def _quietest(loudness: np.ndarray) -> int:
    """Return the middle of the quietest 0.2 s in the last third."""
    smooth = np.convolve(loudness, np.ones(10) / 10, mode="same")
    begin = len(loudness) * 2 // 3
    return begin + int(np.argmin(smooth[begin : len(loudness) - 5]))


def _loudness(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each whole frame of 20 ms, and of what is left over."""
    whole = len(samples) // _FRAME * _FRAME
    frames = np.sqrt(np.square(samples[:whole]).reshape(-1, _FRAME).mean(axis=1))
    rest = samples[whole:]
    return np.append(frames, np.sqrt(np.square(rest).mean())) if len(rest) else frames


def pauses(samples: np.ndarray) -> list[tuple[float, float]]:
    """Return the pauses of a sound as (begin, end), in seconds."""
    if not len(samples):
        return []
    return [(first * _FRAME / RATE, last * _FRAME / RATE) for first, last in _pauses(_loudness(samples))]


def _pauses(loudness: np.ndarray) -> list[tuple[int, int]]:
    """Runs of quiet frames as (first, one past the last)."""
    limit = max(_INAUDIBLE, _PAUSE_PART * float(np.percentile(loudness, 95)))
    quiet = np.concatenate([[False], loudness <= limit, [False]])
    edges = np.flatnonzero(quiet[1:] != quiet[:-1])
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
