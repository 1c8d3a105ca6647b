"""What a tool consists of: its arguments, its function, its answer, and what else the server must know of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from adapters.models.abilities import Ability
from adapters.protocol.jobs import JobKind, JobView, Phase, Progress
from adapters.settings import Settings

# Where each phase of a job lies in a call, in percent from and to: clients draw one bar that must never go back.
Phases = Mapping[Phase, tuple[int, int]]


class Arguments(ArgModelBase):
    """The arguments of a tool, checked. An unknown argument is an error.

    The tool's function gets them as one object.
    """

    model_config = ConfigDict(extra="forbid")

    def model_dump_one_level(self) -> dict[str, Any]:
        """Return the keyword arguments of the tool's function, as the SDK asks for them: this object."""
        return {"arguments": self}


@dataclass(frozen=True)
class JobTool:
    """What a tool that runs jobs tells about them.

    `kinds` are the jobs that it starts. `answer_of` makes the answer that a job's view holds, whether or not the job is
    done. `result_of` makes the tool's result of such an answer. `ability` is the one that its default model must have.
    """

    kinds: tuple[JobKind, ...]
    ability: Ability
    phases: Phases
    answer_of: Callable[[JobView, Settings], BaseModel]
    result_of: Callable[[Any], CallToolResult]


@dataclass(frozen=True)
class ToolDefinition:
    """A tool as it is registered. The description has under 2,000 characters, key facts first: clients cut the rest.

    `changes` says that the tool changes what is kept on this machine: --read-only leaves it out. `jobs` is None for a tool
    that starts no job.
    """

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    function: Callable[..., Awaitable[CallToolResult]]
    answer: type[BaseModel]
    annotations: ToolAnnotations
    changes: bool = False
    jobs: JobTool | None = field(default=None, repr=False)


# The phases that every job may go through before its own.
COMMON_PHASES: Phases = {
    "waiting": (0, 0),
    "starting MLX": (1, 2),
    "downloading": (2, 40),
    "loading": (40, 60),
    "waiting for a place": (60, 60),
}


def percent(progress: Progress, phases: Phases) -> float:
    """Return how far a job is, in percent of its call."""
    low, high = phases.get(progress.phase, (0, 0))
    part = min(1.0, progress.done / progress.total) if progress.done is not None and progress.total else 0.0
    return round(low + (high - low) * part, 1)


def hints(*, read_only: bool, destructive: bool, idempotent: bool, open_world: bool) -> ToolAnnotations:
    """Return all four hints, always: a client takes a missing hint for the worst case."""
    return ToolAnnotations(
        read_only_hint=read_only, destructive_hint=destructive, idempotent_hint=idempotent, open_world_hint=open_world
    )
