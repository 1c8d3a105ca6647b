"""Any job's answer, whichever tool began it."""

from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from adapters.protocol.jobs import JobView
from adapters.settings import Settings
from mcp_server.tools.answer import answer_of, job_result, tool_result
from mcp_server.tools.definition import JobTool, Phases
from mcp_server.tools.describe_image import DESCRIBE_IMAGE, PictureAnswer
from mcp_server.tools.generate import GENERATE
from mcp_server.tools.train_adapter import TRAIN_ADAPTER, TrainingDetails
from mcp_server.tools.transcribe import TRANSCRIBE, HeardSegment

# The tools that start jobs.
JOB_TOOLS = (GENERATE, DESCRIBE_IMAGE, TRANSCRIBE, TRAIN_ADAPTER)
_BY_KIND: dict[str, JobTool] = {kind: tool.jobs for tool in JOB_TOOLS if tool.jobs for kind in tool.jobs.kinds}
# A phase lies in the same place in every tool's calls.
ALL_PHASES: Phases = {phase: place for jobs in _BY_KIND.values() for phase, place in jobs.phases.items()}


class AnyAnswer(PictureAnswer):
    """What a job gave: an answer, a transcript, or an adapter."""

    language: str | None = Field(default=None, description="Of a transcript: the language spoken")
    duration_s: float | None = Field(default=None, description="Of a transcript: the length of the sound, in seconds")
    audio_format: str | None = Field(default=None, description="Of a transcript: the file's true format")
    segments: list[HeardSegment] | None = Field(default=None, description="Of a transcript: what was said, with times")
    training: TrainingDetails | None = Field(
        default=None, description="Of a training: what it takes, how far it is, what was learned"
    )


def answer_of_any(view: JobView, settings: Settings) -> BaseModel:
    """Return the answer of a job of any kind, as the tool that began it makes it. A download has no tool."""
    jobs = _BY_KIND.get(view.kind)
    return jobs.answer_of(view, settings) if jobs else answer_of(view, settings)


def any_answer(view: JobView, settings: Settings) -> AnyAnswer:
    """Return the answer of a job of any kind, in the one form that all of them have."""
    return AnyAnswer(**answer_of_any(view, settings).model_dump())


def any_result(answer: BaseModel, view: JobView) -> CallToolResult:
    """Return the result of the tool that began the job, with its answer in the form that all of them have."""
    jobs = _BY_KIND.get(view.kind)
    result = jobs.result_of(answer) if jobs else job_result(answer)  # pyright: ignore[reportArgumentType]
    result.structured_content = tool_result(AnyAnswer(**answer.model_dump()), "").structured_content
    return result
