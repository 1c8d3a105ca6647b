"""What is said on the engine's socket: the only definition of it.

JSON objects, one a line, both ways. The engine speaks first (`Hello`). A client sends requests, each with an `id` of its
own choosing; what the engine says about one carries that id. A job's events go to every connection attached to it,
until the one event that ends the job. Lines longer than LINE_LIMIT bytes end the connection.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from adapters.engine.training_protocol import Train as Train
from adapters.engine.training_protocol import Trained as Trained
from adapters.engine.training_protocol import TrainingState as TrainingState
from adapters.engine.wire import Wire

PROTOCOL = 1
LINE_LIMIT = 64 << 20

JobKind = Literal["generate", "describe", "transcribe", "train", "download"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})
FinishReason = Literal["stop", "length", "cancelled"]

ROLES = ("system", "user", "assistant", "tool")
MAX_TEMPERATURE = 100.0
MAX_TOP_K = 1_000_000
MAX_TOKENS = 1_000_000
MAX_PROMPTS = 256
MAX_STOPS = 16
MAX_STOP_LENGTH = 256
MAX_SCHEMA_BYTES = 64 << 10
MAX_IMAGES = 32
MAX_HINT = 4096


# --- what a job is asked to do


class Sampling(Wire):
    """How tokens are chosen. A temperature of 0 takes the likeliest; a seed makes any other choice repeatable."""

    temperature: float = Field(default=0.0, ge=0, le=MAX_TEMPERATURE, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    top_k: int = Field(default=0, ge=0, le=MAX_TOP_K)
    min_p: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=0, lt=1 << 64)


class TextPart(Wire):
    type: Literal["text"] = "text"
    text: str


class ImagePart(Wire):
    """A picture: a resolved path, a data URI, or an https address."""

    type: Literal["image"] = "image"
    source: str


class VideoPart(Wire):
    """A video at a resolved path, shown as frames with their times."""

    type: Literal["video"] = "video"
    source: str


Part = Annotated[TextPart | ImagePart | VideoPart, Field(discriminator="type")]
_read_parts: TypeAdapter[list[Part]] = TypeAdapter(list[Part])


def parts_of(content: Any) -> list[Part]:
    """The parts of a message's content, which is text, a list of parts, or nothing."""
    if isinstance(content, str):
        return [TextPart(text=content)]
    return _read_parts.validate_python(content) if content else []


def media_of(conversation: list[dict[str, Any]]) -> list[ImagePart | VideoPart]:
    """The pictures and videos of a conversation, in order."""
    parts = (
        part
        for turn in conversation
        if not isinstance(turn.get("content"), str)
        for part in parts_of(turn.get("content"))
    )
    return [part for part in parts if not isinstance(part, TextPart)]


def _check_turn(turn: dict[str, Any]) -> dict[str, Any]:
    if turn.get("role") not in ROLES:
        raise ValueError(f"role {turn.get('role')!r} is none of {', '.join(ROLES)}")
    if not isinstance(turn.get("content"), str | list | None):
        raise ValueError("content is neither text nor a list of parts")
    parts_of(turn.get("content"))
    return turn


# A message as chat templates take it: a role, content, and what else the role has (tool calls, a tool's name).
Turn = Annotated[dict[str, Any], AfterValidator(_check_turn)]


class Generate(Wire):
    """One or several conversations to answer with one model, in one batch. Those of `describe` show pictures."""

    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None = None
    conversations: list[Annotated[list[Turn], Field(min_length=1)]] = Field(min_length=1, max_length=MAX_PROMPTS)
    tools: list[dict[str, Any]] = []
    max_tokens: int = Field(default=1024, ge=1, le=MAX_TOKENS)
    stop: list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]] = Field(
        default=[], max_length=MAX_STOPS
    )
    json_schema: dict[str, Any] | None = None
    thinking: bool = False
    sampling: Sampling = Sampling()
    offline: bool = False


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


class Download(Wire):
    """A model to fetch from the hub."""

    kind: Literal["download"] = "download"
    model: str
    offline: bool = False


Work = Annotated[Generate | Transcribe | Train | Download, Field(discriminator="kind")]


# --- what comes of it


class Usage(Wire):
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class Timing(Wire):
    """Seconds: waiting for a place, loading the model, from asking to the first token, in all."""

    queued_s: float
    load_s: float
    first_token_s: float | None
    total_s: float
    tokens_per_second: float | None


class MadeCall(Wire):
    """What a model wrote as the call of a tool, markers included; `name` is None when it is no call that can be read.

    `after` is how many characters of the answer's text come before it.
    """

    written: str
    after: int = 0
    name: str | None = None
    arguments: dict[str, Any] = {}


class Completion(Wire):
    """One answer. `tool_calls` are those that the model made of the tools that it was offered, in order.

    `stopped_by` is the stop string that ended it, None when the model ended it by itself or was cut.
    """

    text: str
    reasoning: str = ""
    tool_calls: list[MadeCall] = []
    json_value: Any = None
    finish_reason: FinishReason
    stopped_by: str | None = None
    usage: Usage
    timing: Timing
    error: dict[str, str] | None = None


class Seen(Wire):
    """A picture or video that the model was shown: its true format and size, and how many frames of it."""

    format: str
    width: int
    height: int
    frames: int = 1
    seconds: float | None = None
    shown_width: int
    shown_height: int


class Generated(Wire):
    kind: Literal["generate", "describe"] = "generate"
    model: str
    adapter: str | None
    completions: list[Completion]
    seen: list[Seen] = []


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


class Downloaded(Wire):
    kind: Literal["download"] = "download"
    model: str
    folder: str
    bytes: int


Outcome = Annotated[Generated | Transcribed | Trained | Downloaded, Field(discriminator="kind")]


class Progress(Wire):
    """What a job is at: a phase in words, and how much of it is done where that can be said."""

    phase: str
    done: float | None = None
    total: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        if self.done is None:
            return self.phase
        if self.unit == "bytes":
            done, of = _bytes(self.done), f" of {_bytes(self.total)}" if self.total else ""
        else:
            done, of = f"{self.done:.0f}", f" of {self.total:.0f}" if self.total else ""
        return f"{self.phase} {done}{of}" + (f" {self.unit}" if self.unit not in ("", "bytes") else "")


def _bytes(count: float | None) -> str:
    count = count or 0
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


class Partial(Wire):
    """What there is so far of one answer, or what was added to it. Calls of tools are there once they are closed."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[MadeCall] = []

    def __add__(self, more: "Partial") -> "Partial":
        return Partial(
            text=self.text + more.text,
            reasoning=self.reasoning + more.reasoning,
            tool_calls=self.tool_calls + more.tool_calls,
        )


class JobView(Wire):
    """A job as anyone may see it. A job that answered one conversation, and failed for the answer, has its outcome too."""

    job: str
    kind: JobKind
    state: JobState
    model: str
    created: float
    started: float | None = None
    finished: float | None = None
    progress: Progress
    partial: list[Partial] = []
    training: TrainingState | None = None
    outcome: Outcome | None = None
    error: dict[str, str] | None = None


class LoadedModel(Wire):
    """A model in memory. `bytes` are its weights; `idle_s` is 0 while it is at work."""

    model: str
    folder: str
    bytes: int
    idle_s: float
    rows: int


class EngineStatus(Wire):
    version: str
    pid: int
    uptime_s: float
    device: str
    memory_limit: int
    memory_used: int
    prompt_cache_bytes: int
    models: list[LoadedModel]
    jobs: list[JobView]
    waiting: int


# --- requests


# How often a follower hears of a job's progress and text, in seconds. The end is always told at once.
Every = Annotated[float, Field(ge=0.01, le=10)]


class Submit(Wire):
    """Start a job under an id that the client made. The connection is attached to it."""

    op: Literal["submit"] = "submit"
    id: int
    job: str = Field(pattern=r"^[a-z]{2,8}-[0-9a-z]{8,32}$")
    work: Work
    every: Every = 0.03


class Attach(Wire):
    """Follow a job: its state now, then its events."""

    op: Literal["attach"] = "attach"
    id: int
    job: str
    every: Every = 0.03


class Detach(Wire):
    """Stop following. A job that nobody follows and nobody was told the id of is cancelled."""

    op: Literal["detach"] = "detach"
    id: int
    job: str


class HandOver(Wire):
    """Somebody is told the job's id and may ask for it later: it goes on without followers. Answered with the job."""

    op: Literal["hand-over"] = "hand-over"
    id: int
    job: str


class Cancel(Wire):
    op: Literal["cancel"] = "cancel"
    id: int
    job: str


class AskStatus(Wire):
    op: Literal["status"] = "status"
    id: int


class Count(Wire):
    """Count the tokens of a prompt as the model reads it; its model is brought into memory for it."""

    op: Literal["count"] = "count"
    id: int
    work: Generate


class Unload(Wire):
    """Drop a model from memory once nothing runs on it; `model` of None drops every idle one."""

    op: Literal["unload"] = "unload"
    id: int
    model: str | None = None


class Stop(Wire):
    op: Literal["stop"] = "stop"
    id: int


Request = Annotated[
    Submit | Attach | Detach | HandOver | Cancel | AskStatus | Count | Unload | Stop, Field(discriminator="op")
]


# --- what the engine says


class Hello(Wire):
    event: Literal["hello"] = "hello"
    protocol: int
    version: str
    pid: int


class Update(Wire):
    """A job's progress and, for each answer that grew, what was added to it; a training's state as it is now."""

    event: Literal["update"] = "update"
    id: int
    state: JobState
    progress: Progress
    added: dict[int, Partial] = {}
    training: TrainingState | None = None


class Snapshot(Wire):
    """A job whole: the answer to `attach` and `cancel`, and the event that ends a job."""

    event: Literal["snapshot"] = "snapshot"
    id: int
    view: JobView


class StatusReply(Wire):
    event: Literal["status"] = "status"
    id: int
    status: EngineStatus


class Counted(Wire):
    event: Literal["counted"] = "counted"
    id: int
    tokens: int


class Unloaded(Wire):
    event: Literal["unloaded"] = "unloaded"
    id: int
    models: list[str]


class Done(Wire):
    """The request was carried out, and there is nothing more to say of it."""

    event: Literal["done"] = "done"
    id: int


class Refused(Wire):
    """The request failed. `id` is None when the line could not be read at all."""

    event: Literal["refused"] = "refused"
    id: int | None
    error: dict[str, str]


Event = Annotated[
    Hello | Update | Snapshot | StatusReply | Counted | Unloaded | Done | Refused, Field(discriminator="event")
]

read_request: TypeAdapter[Request] = TypeAdapter(Request)
read_event: TypeAdapter[Event] = TypeAdapter(Event)


def line(message: Wire) -> bytes:
    """The message as it goes over the socket. Defaults are left out."""
    return message.model_dump_json(exclude_defaults=False).encode() + b"\n"
