"""What `transcribe` answers, when it is done and before."""

from pydantic import BaseModel, Field

from adapters.protocol.jobs import JobState, JobView
from adapters.protocol.transcription import Segment, Transcribed
from adapters.settings import Settings
from mcp_server.sizes import progress_text
from mcp_server.tools.answers import MOST_CHARACTERS, STARTER_NOTES, AnswerTiming, bounded

MOST_SEGMENTS = 300
MOST_WORDS = 2000
_EXTENSIONS = {"text": "txt", "srt": "srt", "vtt": "vtt", "json": "json"}


class HeardWord(BaseModel):
    text: str = Field(description="The word")
    start: float = Field(description="When it begins, in seconds")
    end: float = Field(description="When it ends, in seconds")


class HeardSegment(BaseModel):
    text: str = Field(description="What was said")
    start: float = Field(description="When it begins, in seconds")
    end: float = Field(description="When it ends, in seconds")
    words: list[HeardWord] | None = Field(default=None, description="Its words, where their times were asked for")


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
    audio_format: str | None = Field(default=None, description="The file's true format, by its content")
    segments: list[HeardSegment] | None = Field(default=None, description="What was said, with times")
    model: str | None = Field(default=None, description="The model that listened")
    timing: AnswerTiming | None = Field(default=None, description="Where the time went, in seconds")
    phase: str | None = Field(default=None, description="What a job that is not done is doing now")
    error: str | None = Field(default=None, description="Why there is no transcript, and what to do")
    note: str | None = Field(default=None, description="Something that the user should know about this transcript")


def transcript_of(view: JobView, settings: Settings) -> Transcript:
    """The transcript that a job's view holds, what there is of it so far, or its error."""
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
            error=view.error["message"] if view.error else None,
        )
    file, segments = outcome.file, _bounded_segments(outcome.segments)
    cut = len(outcome.rendered) > MOST_CHARACTERS or len(segments) < len(outcome.segments)
    if cut and file is None:
        _, file = bounded(outcome.rendered, 0, f"{view.job}.{_EXTENSIONS[outcome.format]}", settings)
    return Transcript(
        state=view.state,
        job=view.job,
        text=outcome.rendered[:MOST_CHARACTERS],
        truncated=cut,
        file=file,
        language=outcome.language,
        duration_s=outcome.duration_s,
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
    if not outcome.text:
        notes.append("nothing was said in it")
    if outcome.model in STARTER_NOTES:
        notes.append(STARTER_NOTES[outcome.model])
    return "; ".join(notes) or None


def _bounded_segments(segments: list[Segment]) -> list[Segment]:
    """The first segments, as many as an answer holds with their words."""
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


def transcript_text(transcript: Transcript) -> str:
    """The transcript for a client that shows text only, then a line in brackets with the facts."""
    body = transcript.error or transcript.text
    return f"{body}\n\n[{_facts(transcript)}]" if body else f"[{_facts(transcript)}]"


def _facts(transcript: Transcript) -> str:
    if transcript.state in ("queued", "running"):
        sort = "so far" if transcript.text else "nothing yet"
        return f"not done, {sort}: {transcript.phase}. Call check-job with job {transcript.job} and wait_seconds for the rest"
    if transcript.state in ("failed", "cancelled"):
        return f"job {transcript.job} {transcript.state}"
    parts = [f"model {transcript.model}", f"{transcript.duration_s:.1f} s of {transcript.audio_format}"]
    parts += [f"language {transcript.language}"] if transcript.language else []
    parts += [f"heard in {transcript.timing.total_s:.1f} s"] if transcript.timing else []
    if transcript.truncated:
        parts.append(f"only the beginning is shown; all of it is in {transcript.file}")
    elif transcript.file:
        parts.append(f"written to {transcript.file}")
    parts.append(f"job {transcript.job}")
    return ", ".join(parts) + (f". {transcript.note}" if transcript.note else "")
