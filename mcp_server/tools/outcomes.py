"""Any job's answer, whichever tool began it."""

from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from adapters.protocol.jobs import JobView
from adapters.settings import Settings
from mcp_server.tools.answers import PictureAnswer, as_text, picture_answer_of, tool_result
from mcp_server.tools.trainings import TrainingAnswer, TrainingDetails, training_of, training_result, training_text
from mcp_server.tools.transcripts import HeardSegment, Transcript, transcript_of, transcript_text


class AnyAnswer(PictureAnswer):
    """What a job gave: an answer, a transcript, or an adapter."""

    language: str | None = Field(default=None, description="Of a transcript: the language spoken")
    duration_s: float | None = Field(default=None, description="Of a transcript: the length of the sound, in seconds")
    audio_format: str | None = Field(default=None, description="Of a transcript: the file's true format")
    segments: list[HeardSegment] | None = Field(default=None, description="Of a transcript: what was said, with times")
    training: TrainingDetails | None = Field(
        default=None, description="Of a training: what it takes, how far it is, what was learned"
    )


def any_answer(view: JobView, settings: Settings) -> AnyAnswer:
    """The answer of a job of any kind."""
    told: BaseModel
    if view.kind == "train":
        told = training_of(view)
    else:
        told = transcript_of(view, settings) if view.kind == "transcribe" else picture_answer_of(view, settings)
    return AnyAnswer(**told.model_dump())


def any_result(answer: AnyAnswer, view: JobView) -> CallToolResult:
    """The answer as a tool's result, with the plot of a training."""
    text = any_text(answer, view)
    if view.kind == "train":
        result = training_result(training_of(view), text)
        result.structured_content = tool_result(answer, text).structured_content
        return result
    return tool_result(answer, text)


def any_text(answer: AnyAnswer, view: JobView) -> str:
    """The same for a client that shows text only."""
    if view.kind == "train":
        return training_text(TrainingAnswer(**answer.model_dump(include=set(TrainingAnswer.model_fields))))
    if view.kind == "transcribe":
        return transcript_text(Transcript(**answer.model_dump(include=set(Transcript.model_fields))))
    return as_text(answer)
