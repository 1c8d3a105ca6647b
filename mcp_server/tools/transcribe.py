"""The tool `transcribe`: what is said in a recording, as text or subtitles, by a local speech model."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from adapters.errors import FileRefused, InvalidRequest, from_wire
from adapters.places import outputs_folder
from adapters.protocol.content import is_address, is_data_uri
from adapters.protocol.jobs import JobState, JobView
from adapters.protocol.transcription import (
    Segment,
    Stretch,
    Transcribe,
    Transcribed,
    TranscriptFormat,
    TranscriptionOptions,
    Word,
)
from adapters.settings import Settings
from mcp_server.connection import Connection
from mcp_server.grants import Grants, opened
from mcp_server.sizes import progress_text
from mcp_server.tools.answer import MOST_CHARACTERS, STARTER_NOTES, AnswerTiming, bounded, tool_result
from mcp_server.tools.definition import COMMON_PHASES, Arguments, JobTool, ToolDefinition, hints
from mcp_server.tools.following import run
from mcp_server.tools.names import named_model
from mcp_server.ways_out import error_text

MOST_BYTES = 64 << 30
MOST_SEGMENTS = 300
MOST_WORDS = 2000
MOST_UNHEARD = 50
_TIMES_SHOWN = 5
_EXTENSIONS: dict[TranscriptFormat, str] = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".json"}


class TranscribeArguments(TranscriptionOptions, Arguments):
    """What is written down, and how."""


class HeardWord(Word):
    model_config = ConfigDict(extra="ignore")


class HeardSegment(Segment):
    model_config = ConfigDict(extra="ignore")

    # A message never changes, so another type is safe here.
    words: list[HeardWord] | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="Its words, where their times were asked for"
    )


class HeardStretch(Stretch):
    model_config = ConfigDict(extra="ignore")


class Transcript(BaseModel):
    """A transcript, or what there is of it so far."""

    state: JobState = Field(description="`done`, or the job's state when the transcript is not complete")
    job: str = Field(description="The job's id, for check-job and cancel-job")
    text: str = Field(default="", description="The transcript in the format asked for, or its beginning if `truncated`")
    truncated: bool = Field(
        default=False, description="True when `text` or `segments` hold the beginning only; `file` has all"
    )
    file: str | None = Field(default=None, description="Path of the file with the whole transcript")
    language: str | None = Field(default=None, description="The language spoken, where the model tells it")
    duration_s: float | None = Field(default=None, description="Length of the sound, in seconds")
    speech_s: float | None = Field(default=None, description="How long somebody speaks in it, in seconds")
    coverage: float | None = Field(
        default=None, description="The part of the speech over which something was written down: 1 is all"
    )
    unheard: list[HeardStretch] | None = Field(
        default=None, description="Where somebody speaks and the model wrote nothing down"
    )
    audio_format: str | None = Field(default=None, description="The file's true format, by its content")
    segments: list[HeardSegment] | None = Field(default=None, description="What was said, with times")
    model: str | None = Field(default=None, description="The model that listened")
    timing: AnswerTiming | None = Field(default=None, description="Where the time went, in seconds")
    phase: str | None = Field(default=None, description="What a job that is not done is doing now")
    error: str | None = Field(default=None, description="Why there is no transcript, and what to do")
    note: str | None = Field(default=None, description="Something that the user should know about this transcript")


async def transcribe(arguments: TranscribeArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    began = time.monotonic()
    connection: Connection = ctx.request_context.lifespan_context
    if is_address(arguments.audio) or is_data_uri(arguments.audio):
        raise InvalidRequest("sound is read from a file; save it, and give its absolute path")
    path = await asyncio.to_thread(opened, arguments.audio, connection.grants, MOST_BYTES)
    target = None
    if arguments.save_to is not None:
        if connection.settings.read_only:
            raise InvalidRequest("this server was started with --read-only and writes no files; leave `save_to` out")
        target = await asyncio.to_thread(
            _target, arguments.save_to, arguments.format, connection.grants, connection.settings
        )
    resolved = {
        "audio": str(path),
        "save_to": target,
        "model": await named_model(connection, arguments.model, _JOBS.ability),
    }
    view = await run(
        ctx,
        Transcribe(**arguments.model_dump() | resolved, offline=connection.settings.offline),
        began,
        _JOBS.phases,
    )
    if view.state == "failed":
        raise from_wire(view.error or {})
    return _result(transcript_of(view, connection.settings))


def _target(save_to: str, wanted: TranscriptFormat, grants: Grants, settings: Settings) -> str:
    """Return where the transcript goes. Raises FileRefused when that is outside what is granted, or taken."""
    asked = Path(save_to).expanduser()
    if not asked.suffix:
        asked = asked.with_suffix(_EXTENSIONS[wanted])
    if asked.is_absolute():
        target = grants.check(str(asked))
    else:
        if asked.name != str(asked) or asked.name.startswith("."):
            raise FileRefused(
                f"save_to {save_to!r} is neither an absolute path nor a plain file name; give one of them"
            )
        folder = settings.output or outputs_folder()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder.resolve() / asked.name
    if not target.parent.is_dir():
        raise FileRefused(f"there is no folder {target.parent} to save to; make it first, or choose another")
    if target.exists():
        raise FileRefused(f"{target} exists already and is not overwritten; give another name in save_to")
    return str(target)


# --- the answer


def transcript_of(view: JobView, settings: Settings) -> Transcript:
    """Return the transcript that a job's view holds, what there is of it so far, or its error."""
    outcome = view.outcome
    if not isinstance(outcome, Transcribed):
        so_far = view.partial[0].text if view.partial else ""
        return Transcript(
            state=view.state,
            job=view.job,
            text=so_far[:MOST_CHARACTERS],
            truncated=len(so_far) > MOST_CHARACTERS,
            model=view.model,
            phase=None if view.state in ("done", "failed") else progress_text(view.progress),
            error=error_text(view.error),
        )
    file, segments = outcome.file, _bounded_segments(outcome.segments)
    cut = len(outcome.rendered) > MOST_CHARACTERS or len(segments) < len(outcome.segments)
    if cut and file is None:
        _, file = bounded(outcome.rendered, 0, f"{view.job}{_EXTENSIONS[outcome.format]}", settings)
    return Transcript(
        state=view.state,
        job=view.job,
        text=outcome.rendered[:MOST_CHARACTERS],
        truncated=cut,
        file=file,
        language=outcome.language,
        duration_s=outcome.duration_s,
        speech_s=outcome.speech_s,
        coverage=outcome.coverage,
        unheard=[HeardStretch(start=one.start, end=one.end) for one in outcome.unheard[:MOST_UNHEARD]] or None,
        audio_format=outcome.audio_format,
        segments=[_segment(segment) for segment in segments] or None,
        model=outcome.model,
        timing=AnswerTiming(**outcome.timing.model_dump()),
        note=_note(outcome),
    )


def _note(outcome: Transcribed) -> str | None:
    notes = []
    if outcome.file_error:
        notes.append(f"the transcript was not saved: {outcome.file_error}")
    if outcome.said_s is not None and outcome.duration_s < outcome.said_s * 0.98 - 1:
        notes.append(
            f"the file promises {outcome.said_s:.0f} seconds and only {outcome.duration_s:.0f} could be read: its end is missing or damaged"
        )
    notes += outcome.notes
    if not outcome.speech_s:
        notes.append("no speech was found in it")
    if outcome.unheard:
        times = ", ".join(f"{one.start:.1f} to {one.end:.1f}" for one in outcome.unheard[:_TIMES_SHOWN])
        more = len(outcome.unheard) - _TIMES_SHOWN
        notes.append(
            f"somebody speaks and nothing was written down at {times}{f' and {more} more places' if more > 0 else ''} s: "
            "listen there, or try a larger speech model"
        )
    if outcome.model in STARTER_NOTES:
        notes.append(STARTER_NOTES[outcome.model])
    return "; ".join(notes) or None


def _bounded_segments(segments: list[Segment]) -> list[Segment]:
    """Return the first segments, as many as an answer holds with their words."""
    words, kept = 0, list[Segment]()
    for segment in segments[:MOST_SEGMENTS]:
        words += len(segment.words)
        if words > MOST_WORDS:
            break
        kept.append(segment)
    return kept


def _segment(segment: Segment) -> HeardSegment:
    words = [HeardWord(text=word.text.strip(), start=word.start, end=word.end) for word in segment.words]
    return HeardSegment(text=segment.text, start=segment.start, end=segment.end, words=words or None)


def _result(transcript: Transcript) -> CallToolResult:
    """Return the transcript, and for a client that shows text only a line in brackets with the facts."""
    body = transcript.error or transcript.text
    facts = f"[{_facts(transcript)}]"
    return tool_result(transcript, f"{body}\n\n{facts}" if body else facts)


def _facts(transcript: Transcript) -> str:
    if transcript.state in ("queued", "running"):
        sort = "so far" if transcript.text else "nothing yet"
        return f"not done, {sort}: {transcript.phase}. Call check-job with job {transcript.job} and wait_seconds for the rest"
    if transcript.state in ("failed", "cancelled"):
        return f"job {transcript.job} {transcript.state}"
    parts = [f"model {transcript.model}", f"{transcript.duration_s:.1f} s of {transcript.audio_format}"]
    parts += [f"language {transcript.language}"] if transcript.language else []
    if transcript.speech_s and transcript.coverage is not None:
        parts.append(f"{math.floor(transcript.coverage * 100)} % of {transcript.speech_s:.1f} s of speech")
    parts += [f"heard in {transcript.timing.total_s:.1f} s"] if transcript.timing else []
    if transcript.truncated:
        parts.append(f"only the beginning is shown; all of it is in {transcript.file}")
    elif transcript.file:
        parts.append(f"written to {transcript.file}")
    parts.append(f"job {transcript.job}")
    return ", ".join(parts) + (f". {transcript.note}" if transcript.note else "")


_JOBS = JobTool(
    kinds=("transcribe",),
    ability="speech",
    phases={**COMMON_PHASES, "opening the file": (0, 1), "listening": (60, 99)},
    answer_of=transcript_of,
    result_of=_result,
)

TRANSCRIBE = ToolDefinition(
    name="transcribe",
    title="Write down speech locally",
    description=(
        "Write down what is said in a sound or video file, with a speech model that runs on the user's own machine; nothing "
        "leaves it. Use it for meetings, interviews, voice notes and films: as plain text, as subtitles (`srt`, `vtt`) that "
        "follow the usual rules, or as JSON with times. Takes files of hours; a long transcript comes with its beginning and "
        "the path of the file that has all of it. Silence gives an empty transcript. Not for telling speakers apart, nor for "
        "music. Answers within the client's deadline: if `state` is not `done`, call check-job with `job`."
    ),
    arguments=TranscribeArguments,
    function=transcribe,
    answer=Transcript,
    annotations=hints(read_only=False, destructive=False, idempotent=False, open_world=True),
    jobs=_JOBS,
)
