"""The requests and events on the engine's socket: the only definition of them.

JSON objects, one a line, both ways. The engine speaks first (`Hello`). A client sends requests, each with an `id` of its
own choosing. What the engine says about a request carries that id. A job's events go to every connection that follows it,
until the one event that ends the job.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from adapters.protocol.generation import Generate, Partial
from adapters.protocol.jobs import JOB_ID, JobState, JobView, Progress, Work
from adapters.protocol.training import Train, TrainingState
from adapters.protocol.wire import Wire, json_of

# Another number is another socket: an engine of another version is left to its own clients.
PROTOCOL = 2


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
    job: str = Field(pattern=f"^{JOB_ID.pattern}$")
    work: Work
    every: Every = 0.03


class Attach(Wire):
    """Follow a job: its state now, then its events."""

    op: Literal["attach"] = "attach"
    id: int
    job: str
    every: Every = 0.03


class Unfollow(Wire):
    """Stop following. A job that nobody follows is cancelled, unless it is to keep running."""

    op: Literal["unfollow"] = "unfollow"
    id: int
    job: str


class KeepRunning(Wire):
    """Have a job go on without followers: somebody is told its id and may ask for it later. Answered with the job."""

    op: Literal["keep-running"] = "keep-running"
    id: int
    job: str


class ReadJob(Wire):
    """Say what a job is now. Changes nothing about it. Answered with the job."""

    op: Literal["read-job"] = "read-job"
    id: int
    job: str


class ReadWork(Wire):
    """Say what a job was asked that answers. It is kept as long as the job's result."""

    op: Literal["read-work"] = "read-work"
    id: int
    job: str


class ReadTraining(Wire):
    """Say what a training was asked that another one is to go on with. Refused when it cannot be gone on with."""

    op: Literal["read-training"] = "read-training"
    id: int
    job: str
    adapter: str


class ListJobs(Wire):
    """List the ids of all jobs that are running or whose results are kept. Waits for no model, as the status does."""

    op: Literal["list-jobs"] = "list-jobs"
    id: int


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
    Submit
    | Attach
    | Unfollow
    | KeepRunning
    | ReadJob
    | ReadWork
    | ReadTraining
    | ListJobs
    | Cancel
    | AskStatus
    | Count
    | Unload
    | Stop,
    Field(discriminator="op"),
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
    """A job whole: the answer to whoever asks for one, and the event that ends a job."""

    event: Literal["snapshot"] = "snapshot"
    id: int
    view: JobView


class WorkReply(Wire):
    event: Literal["work"] = "work"
    id: int
    work: Generate | Train = Field(discriminator="kind")


class JobIds(Wire):
    """Newest first."""

    event: Literal["job-ids"] = "job-ids"
    id: int
    jobs: list[str]


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
    Hello | Update | Snapshot | WorkReply | JobIds | StatusReply | Counted | Unloaded | Done | Refused,
    Field(discriminator="event"),
]

read_request: TypeAdapter[Request] = TypeAdapter(Request)
read_event: TypeAdapter[Event] = TypeAdapter(Event)


def line(message: Wire) -> bytes:
    """Return the message as it goes over the socket, with its end of line."""
    return json_of(message) + b"\n"
