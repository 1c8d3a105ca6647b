"""What a speech model heard in a window."""

from dataclasses import dataclass

from adapters.protocol.transcription import Segment


@dataclass(frozen=True)
class Heard:
    """What was said in a window, with times from the beginning of the sound, and in which language.

    `until` is where the model stopped, when that was well before the window's end: what follows was not heard.
    """

    segments: list[Segment]
    language: str | None
    until: float | None = None
