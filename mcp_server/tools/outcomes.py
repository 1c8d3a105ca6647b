"""Any job's answer, whichever tool began it."""

from pydantic import BaseModel, Field

from adapters.engine.protocol import JobView
from adapters.settings import Settings
from mcp_server.tools.answers import PictureAnswer, as_text, picture_answer_of
from mcp_server.tools.transcripts import HeardSegment, Transcript, transcript_of, transcript_text


class AnyAnswer(PictureAnswer):
    """What a job gave: an answer, or a transcript."""

    language: str | None = Field(default=None, description="Of a transcript: the language spoken")
    duration_s: float | None = Field(default=None, description="Of a transcript: the length of the sound, in seconds")
    audio_format: str | None = Field(default=None, description="Of a transcript: the file's true format")
    segments: list[HeardSegment] | None = Field(default=None, description="Of a transcript: what was said, with times")


def any_answer(view: JobView, settings: Settings) -> AnyAnswer:
    """The answer of a job of any kind."""
    told: BaseModel = transcript_of(view, settings) if view.kind == "transcribe" else picture_answer_of(view, settings)
    return AnyAnswer(**told.model_dump())


def any_text(answer: AnyAnswer, view: JobView) -> str:
    """The same for a client that shows text only."""
    if view.kind == "transcribe":
        return transcript_text(Transcript(**answer.model_dump(include=set(Transcript.model_fields))))
    return as_text(answer)
