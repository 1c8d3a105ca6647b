"""What a job is asked to write down of a sound, and the transcript that comes of it."""

from typing import Literal

from pydantic import Field

from adapters.protocol.generation import Timing
from adapters.protocol.wire import Wire

MAX_HINT = 4096

Timestamps = Literal["none", "segment", "word"]
TranscriptFormat = Literal["text", "srt", "vtt", "json"]


class Transcribe(Wire):
    """Sound to write down. `save_to` is a path where the transcript is written in its format when it is done."""

    kind: Literal["transcribe"] = "transcribe"
    model: str
    audio: str
    language: str | None = Field(default=None, max_length=64)
    task: Literal["transcribe", "translate"] = "transcribe"
    timestamps: Timestamps = "segment"
    format: TranscriptFormat = "text"
    save_to: str | None = None
    overwrite: bool = False
    prompt: str | None = Field(default=None, max_length=MAX_HINT)
    offline: bool = False


class Word(Wire):
    """Times in seconds."""

    text: str
    start: float
    end: float


class Segment(Wire):
    """Something that was said in one piece. Times in seconds, `words` where they were asked for."""

    text: str
    start: float
    end: float
    words: list[Word] = []


class Transcribed(Wire):
    """What was heard. `rendered` is the transcript in the format that was asked for; `file` where it was written.

    `said_s` is the length that the file's header promises, where it promises one.
    """

    kind: Literal["transcribe"] = "transcribe"
    model: str
    text: str
    rendered: str
    format: TranscriptFormat
    language: str | None
    duration_s: float
    said_s: float | None = None
    segments: list[Segment]
    audio_format: str
    timing: Timing
    file: str | None = None
    file_error: str | None = None
