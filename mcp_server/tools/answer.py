"""The answer of a tool whose text a model writes: a structured result with fixed names, and a text that says the same."""

from typing import Any

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field

from adapters.files import write_whole
from adapters.places import outputs_folder
from adapters.protocol.generation import Completion, FinishReason, Generated, Timing, Usage
from adapters.protocol.jobs import Downloaded, JobState, JobView
from adapters.settings import Settings
from mcp_server.sizes import progress_text
from mcp_server.ways_out import error_text

# Clients cut or refuse larger results: characters of one answer, and of all answers of a call together.
MOST_CHARACTERS = 40_000
STARTER_NOTES = {
    "starter": "starter is a tiny demonstration model; for a real one run `mcp-server-mlx models pull recommended`, or name one with `model`",
    "starter-vision": "starter-vision is a tiny demonstration model that knows plain coloured shapes only; for a real one run `mcp-server-mlx models pull recommended --for vision`, or name one with `model`",
    "starter-speech": "starter-speech is a tiny demonstration model that knows digits and short commands only; for a real one run `mcp-server-mlx models pull recommended --for speech`, or name one with `model`",
}


class AnswerUsage(Usage):
    model_config = ConfigDict(extra="ignore")


class AnswerTiming(Timing):
    model_config = ConfigDict(extra="ignore")


class Answer(BaseModel):
    """One answer of a model, or what there is of it so far."""

    state: JobState = Field(description="`done`, or the job's state when the answer is not complete")
    text: str = Field(default="", description="The answer, or its beginning if `truncated`")
    truncated: bool = Field(default=False, description="True when `text` is only the beginning; `file` has all of it")
    file: str | None = Field(
        default=None, description="Path of a file with the whole answer, where it is too long for here"
    )
    reasoning: str | None = Field(default=None, description="What the model thought before it answered, if it does so")
    json_value: Any = Field(
        default=None, serialization_alias="json", description="The value of an answer that `json_schema` was asked for"
    )
    model: str | None = Field(default=None, description="The model that answered")
    adapter: str | None = Field(default=None, description="The adapter that it answered with")
    finish_reason: FinishReason | None = Field(
        default=None,
        description="`stop`: the model ended; `length`: it was cut at max_tokens or the end of its context",
    )
    usage: AnswerUsage | None = Field(default=None, description="Tokens read and written")
    timing: AnswerTiming | None = Field(default=None, description="Where the time went, in seconds")
    error: str | None = Field(default=None, description="Why there is no answer, and what to do")


class JobAnswer(Answer):
    """The answer of a call, with the job behind it. With `prompts`, `results` holds one answer each, in order."""

    job: str = Field(description="The job's id, for check-job and cancel-job")
    phase: str | None = Field(default=None, description="What a job that is not done is doing now")
    results: list[Answer] | None = Field(default=None, description="The answers to `prompts`, in order")
    note: str | None = Field(default=None, description="Something that the user should know about this answer")


def tool_result(answer: BaseModel, text: str) -> CallToolResult:
    """Return a structured result and its text, each of which stands alone."""
    structured = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


def job_result(answer: "JobAnswer") -> CallToolResult:
    """Return the result of a tool whose text a model writes."""
    return tool_result(answer, as_text(answer))


def answer_of(view: JobView, settings: Settings, several: bool | None = None) -> JobAnswer:
    """Return the answer that a job's view holds: its results, what there is so far, or its error."""
    if isinstance(view.outcome, Generated):
        answers = _completed(view.job, view.outcome, settings)
        several = len(answers) > 1 if several is None else several
    else:
        answers = [Answer(state=view.state, text=part.text, reasoning=part.reasoning or None) for part in view.partial]
        several = len(answers) > 1 if several is None else several
    common: dict[str, Any] = {
        "state": view.state,
        "job": view.job,
        "model": view.outcome.model if view.outcome else view.model,
        "phase": None if view.state in ("done", "failed") else progress_text(view.progress),
        "error": error_text(view.error),
    }
    if notes := _notes(view):
        common["note"] = ". ".join(notes)
    if isinstance(view.outcome, Downloaded):
        return JobAnswer(**common, text=f"{view.outcome.model} is on this machine, in {view.outcome.folder}")
    if several:
        return JobAnswer(**common, results=answers, text=_joined(answers), truncated=any(a.truncated for a in answers))
    single = answers[0].model_dump() if answers else {}
    return JobAnswer(**(single | {key: value for key, value in common.items() if value is not None}))


def _notes(view: JobView) -> list[str]:
    """Return what the user should know about the answers, each once."""
    completions = view.outcome.completions if isinstance(view.outcome, Generated) else []
    told = [note for completion in completions for note in completion.notes]
    if view.outcome and view.outcome.model in STARTER_NOTES:
        told.append(STARTER_NOTES[view.outcome.model])
    return list(dict.fromkeys(told))


def _completed(job: str, outcome: Generated, settings: Settings) -> list[Answer]:
    each = max(1000, MOST_CHARACTERS // len(outcome.completions))
    return [_answer(job, i, completion, outcome, each, settings) for i, completion in enumerate(outcome.completions)]


def _answer(job: str, index: int, completion: Completion, outcome: Generated, most: int, settings: Settings) -> Answer:
    text, file = bounded(completion.text, most, f"{job}-{index + 1}.txt", settings)
    return Answer(
        state="failed" if completion.error else "done",
        error=error_text(completion.error),
        text=text,
        truncated=file is not None,
        file=file,
        reasoning=completion.reasoning[:most] or None,
        json_value=completion.json_value,
        model=outcome.model,
        adapter=outcome.adapter,
        finish_reason=completion.finish_reason,
        usage=AnswerUsage(**completion.usage.model_dump()),
        timing=AnswerTiming(**completion.timing.model_dump()),
    )


def bounded(text: str, most: int, name: str, settings: Settings) -> tuple[str, str | None]:
    """Return the text, or its first part and the path of a file with all of it, written once and for this user alone."""
    if len(text) <= most:
        return text, None
    path = (settings.output or outputs_folder()) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_whole(path, text.encode(), sync=False)
    return text[:most], str(path)


# --- as text


def as_text(answer: JobAnswer) -> str:
    """Return the answer for a client that shows text only: the answer, then a line in brackets with the facts."""
    body = answer.text
    if answer.error:
        body = f"{answer.error}" + (f"\n\nSo far:\n{answer.text}" if answer.text and answer.results is None else "")
    return f"{body}\n\n[{facts(answer)}]" if body else f"[{facts(answer)}]"


def facts(answer: JobAnswer) -> str:
    """Return which model, how many tokens, whether it was cut, how long it took, which job."""
    if answer.state in ("queued", "running"):
        sort = "so far" if answer.text else "nothing yet"
        return f"not done, {sort}: {answer.phase}. Call check-job with job {answer.job} and wait_seconds for the rest"
    if answer.state in ("failed", "cancelled"):
        return f"job {answer.job} {answer.state}"
    adapter = answer.adapter or next((one.adapter for one in answer.results or [] if one.adapter), None)
    parts = [f"model {answer.model}" + (f" with adapter {adapter}" if adapter else "")]
    for one in answer.results or [answer]:
        if one.usage and not answer.results:
            cached = f" ({one.usage.cached_tokens} cached)" if one.usage.cached_tokens else ""
            parts.append(f"{one.usage.prompt_tokens} prompt tokens{cached}, {one.usage.completion_tokens} written")
        if one.finish_reason == "length" and not answer.results:
            parts.append("CUT at its token limit")
    if answer.results:
        cut = sum(one.finish_reason == "length" for one in answer.results)
        failed = sum(one.state == "failed" for one in answer.results)
        parts.append(
            f"{len(answer.results)} answers"
            + (f", {cut} CUT" if cut else "")
            + (f", {failed} FAILED" if failed else "")
        )
    if answer.timing:
        parts.append(f"{answer.timing.total_s:.1f} s")
    if answer.truncated:
        parts.append(f"only the beginning is shown; all of it is in {answer.file or 'the files of `results`'}")
    parts.append(f"job {answer.job}")
    return ", ".join(parts) + (f". {answer.note}" if answer.note else "")


def _joined(answers: list[Answer]) -> str:
    return "\n\n".join(f"{i + 1}. {one.error if one.state == 'failed' else one.text}" for i, one in enumerate(answers))
