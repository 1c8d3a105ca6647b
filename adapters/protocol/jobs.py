"""A job as anyone may see it: what it is asked to do, how far it is, and its result."""

import re
import secrets
from typing import Annotated, Literal

from pydantic import Field

from adapters.protocol.generation import Generate, Generated, Partial
from adapters.protocol.training import Train, Trained, TrainingState
from adapters.protocol.transcription import Transcribe, Transcribed
from adapters.protocol.wire import Wire

JobKind = Literal["generate", "describe", "transcribe", "train", "download"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})

JOB_ID = re.compile(r"[a-z]{2,8}-[0-9a-z]{8,32}")
_PREFIXES: dict[JobKind, str] = {
    "generate": "gen",
    "describe": "see",
    "transcribe": "hear",
    "train": "train",
    "download": "pull",
}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_job_id(kind: JobKind) -> str:
    """Return a random id that begins with the job's kind. It has 60 random bits, so nobody guesses another's id."""
    return f"{_PREFIXES[kind]}-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


class Download(Wire):
    """A model to fetch from the hub."""

    kind: Literal["download"] = "download"
    model: str
    offline: bool = False


Work = Annotated[Generate | Transcribe | Train | Download, Field(discriminator="kind")]


class Downloaded(Wire):
    kind: Literal["download"] = "download"
    model: str
    folder: str
    bytes: int


Outcome = Annotated[Generated | Transcribed | Trained | Downloaded, Field(discriminator="kind")]


# What a job is doing, as it completes "while ...". In the order in which jobs come to them.
Phase = Literal[
    "waiting",
    "opening the file",
    "opening the pictures",
    "downloading",
    "starting MLX",
    "loading",
    "waiting for a place",
    "reading prompt",
    "writing",
    "listening",
    "waiting for another training to end",
    "checking the rows",
    "evaluating the base",
    "training",
    "evaluating the adapter",
    "saving the adapter",
]


class Progress(Wire):
    """What a job is doing, and how much of it is done where that can be said, in `unit`."""

    phase: Phase
    done: float | None = None
    total: float | None = None
    unit: str = ""


class JobView(Wire):
    """A job as anyone may see it.

    A job that answered one conversation, and failed for the answer, has its outcome too.
    """

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
