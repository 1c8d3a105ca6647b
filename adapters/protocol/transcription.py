"""What a job is asked to write down of a sound, and the transcript that comes of it."""

from typing import Literal

from pydantic import Field

from adapters.protocol.generation import Timing
from adapters.protocol.wire import Wire

MAX_HINT = 4096

Timestamps = Literal["none", "segment", "word"]
TranscriptFormat = Literal["text", "srt", "vtt", "json"]


class TranscriptionOptions(Wire):
    """What is written down, and how. Declared once: the tool and the engine take everything from here."""

    audio: str = Field(
        min_length=1,
        description="Absolute path of a sound or video file (wav, mp3, flac, ogg, opus, m4a, aac, webm, mp4, mov and more). Only within granted folders.",
    )
    language: str | None = Field(
        default=None,
        max_length=64,
        description="The language spoken, such as `en` or `german`; left out, it is recognised.",
    )
    task: Literal["transcribe", "translate"] = Field(
        default="transcribe",
        description="`transcribe` keeps the language; `translate` gives English, where the model can.",
    )
    timestamps: Timestamps = Field(
        default="segment",
        description="What `segments` have times for: `none` leaves them out, `word` adds every word.",
    )
    format: TranscriptFormat = Field(
        default="text", description="`text`, subtitles as `srt` or `vtt`, or `json` with all times."
    )
    save_to: str | None = Field(
        default=None,
        description="Where to write the transcript: an absolute path in a granted folder, or a file name for the output folder. Never overwrites.",
    )
    prompt: str | None = Field(
        default=None,
        max_length=MAX_HINT,
        description="Names and terms that are spoken, to help with their spelling.",
    )
    model: str = Field(
        default="default",
        description="`default`, `starter-speech`, a hub id such as mlx-community/parakeet-tdt-0.6b-v3, or an absolute folder.",
    )


class Transcribe(TranscriptionOptions):
    """A sound to write down. Its paths are resolved; the transcript is written to `save_to` when it is done."""

    kind: Literal["transcribe"] = "transcribe"
    overwrite: bool = False
    offline: bool = False


class Word(Wire):
    """A word and when it is said, in seconds."""

    text: str = Field(description="The word")
    start: float = Field(description="When it begins, in seconds")
    end: float = Field(description="When it ends, in seconds")


class Segment(Wire):
    """Something that was said in one piece. Times in seconds, `words` where they were asked for."""

    text: str = Field(description="What was said")
    start: float = Field(description="When it begins, in seconds")
    end: float = Field(description="When it ends, in seconds")
    words: list[Word] = []


class Stretch(Wire):
    """A part of a sound, in seconds."""

    start: float = Field(description="When it begins, in seconds")
    end: float = Field(description="When it ends, in seconds")


class Transcribed(Wire):
    """What was heard. `speech_s` is how long somebody speaks, `coverage` over which part of that something was written
    down, `unheard` the rest, where it is long enough for a word. `rendered` is the transcript in the format that was asked for; `file` where it was written.

    `said_s` is the length that the file's header promises, where it promises one; `notes` what is odd about it.
    """

    kind: Literal["transcribe"] = "transcribe"
    model: str
    text: str
    rendered: str
    format: TranscriptFormat
    language: str | None
    duration_s: float
    said_s: float | None = None
    notes: list[str] = []
    segments: list[Segment]
    speech_s: float = 0.0
    coverage: float = 1.0
    unheard: list[Stretch] = []
    audio_format: str
    timing: Timing
    file: str | None = None
    file_error: str | None = None
