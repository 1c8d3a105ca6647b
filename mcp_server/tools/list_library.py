"""The tool `list-library`: what is on this machine."""

import asyncio
import base64
import binascii
from typing import Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from adapters.errors import InvalidRequest
from adapters.lora.trained_adapters import TrainedAdapter, trained_adapters
from adapters.models.abilities import Ability
from adapters.models.installed_models import InstalledModel, models_on_disk
from adapters.models.recommended import ABILITIES, default_model
from adapters.protocol.jobs import JobState
from adapters.protocol.messages import EngineStatus, LoadedModel
from adapters.recordings import store
from adapters.settings import GB, Settings
from mcp_server.connection import Connection
from mcp_server.sizes import progress_text, size
from mcp_server.tools.answer import tool_result
from mcp_server.tools.definition import Arguments, ToolDefinition, hints
from mcp_server.tools.train_adapter import EvaluationAnswer
from mcp_server.ways_out import error_text

Kind = Literal["models", "adapters", "sessions", "jobs", "all"]


class ListLibraryArguments(Arguments):
    """What to list, and which page."""

    kind: Kind = Field(default="all", description="What to list.")
    limit: int = Field(default=50, ge=1, le=200, description="At most this many entries.")
    cursor: str | None = Field(default=None, description="From `next_cursor` of the page before.")


class ModelEntry(BaseModel):
    """A model on this machine."""

    name: str = Field(description="What to pass as `model`")
    default: bool = Field(default=False, description="True for a model that `default` stands for in one of the tools")
    abilities: list[Ability] | None = Field(
        default=None, description="What it can do: write `text`, see pictures (`vision`), hear `speech`"
    )
    architecture: str | None = Field(default=None, description="The model's architecture, from its configuration")
    bytes: int | None = Field(default=None, description="Size of its weights")
    quantization: str | None = Field(default=None, description="Such as 4-bit, where its weights are quantised")
    context: int | None = Field(default=None, description="Tokens that prompt and answer may have together")
    loaded: bool = Field(default=False, description="True when it is in memory and answers at once")
    fits: bool | None = Field(
        default=None,
        description="False when it takes more memory than this machine may use; left out when not known yet",
    )
    problem: str | None = Field(default=None, description="Why it cannot be used")


class JobEntry(BaseModel):
    """A job of today, by whichever client."""

    job: str = Field(description="The id, for check-job and cancel-job")
    kind: str = Field(description="Which work it is")
    state: JobState = Field(description="Where it is")
    model: str = Field(description="The model that was asked for")
    phase: str | None = Field(default=None, description="What it is doing now")
    created: float = Field(description="When it was made, in seconds since 1970")
    error: str | None = Field(default=None, description="Why it failed")


class SessionEntry(BaseModel):
    """A recorded session."""

    session: str = Field(description="Its id, for record-session")
    conversations: int = Field(description="Conversations in it")
    messages_to_learn: int = Field(description="Messages in them that are to be learned from")
    broken_lines: int = Field(default=0, description="Lines that cannot be read and are left out")
    bytes: int = Field(description="Its size on disk")


class AdapterEntry(BaseModel):
    """An adapter that was trained on this machine."""

    name: str = Field(description="What to pass as `adapter`")
    model: str | None = Field(default=None, description="The model that it belongs to")
    method: str | None = Field(default=None, description="lora, dora or full")
    rank: int | None = Field(default=None, description="How much it can hold")
    bytes: int | None = Field(default=None, description="Its size on disk")
    created: float | None = Field(default=None, description="When it was trained, in seconds since 1970")
    sessions: list[str] | None = Field(default=None, description="What it was trained on")
    evaluation: EvaluationAnswer | None = Field(
        default=None, description="The model without and with it, on rows that it was not trained on"
    )
    problem: str | None = Field(default=None, description="Why it cannot be used")


class Library(BaseModel):
    """A page of the library."""

    models: list[ModelEntry] | None = Field(default=None, description="Models on this machine")
    adapters: list[AdapterEntry] | None = Field(default=None, description="Adapters that were trained here, by name")
    sessions: list[SessionEntry] | None = Field(default=None, description="Recorded sessions, by name")
    jobs: list[JobEntry] | None = Field(default=None, description="Jobs, newest first")
    memory_used: int | None = Field(default=None, description="Bytes that models and caches take now")
    memory_limit: int | None = Field(default=None, description="Bytes that they may take")
    next_cursor: str | None = Field(default=None, description="Pass as `cursor` for the next page")


async def list_library(arguments: ListLibraryArguments, ctx: Context[Connection, Any]) -> CallToolResult:
    connection: Connection = ctx.request_context.lifespan_context
    start = _offset(arguments.cursor)
    library = await whole_library(connection, arguments.kind)
    page, following = _page(library, start, arguments.limit)
    page.next_cursor = _cursor(following) if following else None
    return tool_result(page, _as_text(page))


async def whole_library(connection: Connection, kind: Kind) -> Library:
    """Everything of that kind. An engine is started only where jobs are asked for: it alone knows them."""
    status = await connection.engine.status_if_running()
    library = Library()
    if kind in ("models", "all"):
        found = await asyncio.to_thread(lambda: list(models_on_disk()))
        defaults = await asyncio.to_thread(_defaults, connection.settings)
        library.models = [_model_entry(entry, status, entry.name in defaults) for entry in found]
    if kind in ("adapters", "all"):
        library.adapters = await asyncio.to_thread(_adapter_entries)
    if kind in ("sessions", "all"):
        library.sessions = await asyncio.to_thread(_session_entries)
    if kind in ("jobs", "all"):
        if status is None:
            status = await connection.engine.status()
        library.jobs = _job_entries(status)
    if status is not None and status.memory_limit:
        library.memory_used, library.memory_limit = status.memory_used, status.memory_limit
    return library


def _model_entry(entry: InstalledModel, status: EngineStatus | None, default: bool) -> ModelEntry:
    loaded: list[LoadedModel] = status.models if status else []
    card = entry.card
    limit = status.memory_limit if status else 0
    return ModelEntry(
        name=entry.name,
        default=default,
        abilities=list(card.abilities) if card else None,
        architecture=card.architecture if card else None,
        bytes=card.weight_bytes if card else None,
        quantization=card.quantization if card else None,
        context=(card.context or None) if card else None,
        loaded=any(model.folder == str(entry.folder) for model in loaded),
        fits=card.weight_bytes < limit if card and limit else None,
        problem=entry.problem,
    )


def _defaults(settings: Settings) -> set[str]:
    return {default_model(ability, settings) for ability in ABILITIES}


def _adapter_entries() -> list[AdapterEntry]:
    return [adapter_entry(entry) for entry in trained_adapters()]


def adapter_entry(entry: TrainedAdapter) -> AdapterEntry:
    """Return what is known of an adapter."""
    files, made = entry.files, entry.manifest
    return AdapterEntry(
        name=entry.name,
        model=made.model if made else None,
        method=files.method if files else None,
        rank=files.rank or None if files else None,
        bytes=files.bytes if files else None,
        created=made.created if made else None,
        sessions=made.sessions or None if made else None,
        evaluation=EvaluationAnswer(**made.evaluation.model_dump()) if made and made.evaluation else None,
        problem=entry.problem,
    )


def _session_entries() -> list[SessionEntry]:
    sessions = (store.read(name) for name in store.names())
    return [
        SessionEntry(
            session=one.name,
            conversations=len(one.conversations),
            messages_to_learn=one.learned,
            broken_lines=len(one.broken),
            bytes=one.bytes,
        )
        for one in sessions
    ]


def _job_entries(status: EngineStatus | None) -> list[JobEntry]:
    return [
        JobEntry(
            job=view.job,
            kind=view.kind,
            state=view.state,
            model=view.model,
            phase=progress_text(view.progress) if view.state in ("queued", "running") else None,
            created=view.created,
            error=error_text(view.error),
        )
        for view in (status.jobs if status else [])
    ]


def _page(library: Library, start: int, limit: int) -> tuple[Library, int | None]:
    """Return the entries from `start` on, models before adapters before sessions before jobs, and where the next page
    starts.
    """
    end, at, shown = start + limit, 0, dict[str, Any]()
    for kind in ("models", "adapters", "sessions", "jobs"):
        entries: list[Any] | None = getattr(library, kind)
        if entries is not None:
            shown[kind] = entries[max(0, start - at) : max(0, end - at)]
            at += len(entries)
    return library.model_copy(update=shown), end if end < at else None


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()).decode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest(
            f"cursor {cursor[:40]!r} is not one that list-library gave; leave it out to begin at the start"
        ) from error


def _as_text(page: Library) -> str:
    lines = []
    if page.models is not None:
        lines += ["Models:", *(f"- {_model_line(entry)}" for entry in page.models)] if page.models else ["No models."]
    if page.adapters is not None:
        entries = [f"- {_adapter_line(entry)}" for entry in page.adapters]
        lines += ["Adapters:", *entries] if entries else ["No adapters."]
    if page.sessions is not None:
        entries = [f"- {_session_line(entry)}" for entry in page.sessions]
        lines += ["Sessions:", *entries] if entries else ["No sessions."]
    if page.jobs is not None:
        lines += ["Jobs:", *(f"- {_job_line(entry)}" for entry in page.jobs)] if page.jobs else ["No jobs."]
    if page.memory_limit:
        lines.append(f"Memory: {(page.memory_used or 0) / GB:.2f} of {page.memory_limit / GB:.2f} GB in use")
    if page.next_cursor:
        lines.append(f"More: call again with cursor {page.next_cursor}")
    return "\n".join(lines)


def _model_line(entry: ModelEntry) -> str:
    if entry.problem:
        return f"{entry.name}: cannot be used: {entry.problem}"
    facts = [
        " and ".join(entry.abilities or []),
        entry.architecture or "",
        entry.quantization or "",
        size(entry.bytes or 0),
        f"context {entry.context}" if entry.context else "",
    ]
    facts += ["default"] if entry.default else []
    facts += ["loaded"] if entry.loaded else []
    facts += ["too large for this machine"] if entry.fits is False else []
    return f"{entry.name} ({', '.join(fact for fact in facts if fact)})"


def _adapter_line(entry: AdapterEntry) -> str:
    if entry.problem:
        return f"{entry.name}: cannot be used: {entry.problem}"
    facts = [f"for {entry.model}" if entry.model else "", entry.method or "", size(entry.bytes or 0)]
    if found := entry.evaluation:
        facts.append(f"loss {found.base_loss:.2f} before, {found.adapter_loss:.2f} after")
    return f"{entry.name} ({', '.join(fact for fact in facts if fact)})"


def _session_line(entry: SessionEntry) -> str:
    broken = f", {entry.broken_lines} broken lines" if entry.broken_lines else ""
    return f"{entry.session}: {entry.conversations} conversations, {entry.messages_to_learn} messages to learn from{broken}"


def _job_line(entry: JobEntry) -> str:
    return (
        f"{entry.job}: {entry.state}, {entry.kind} with {entry.model}"
        + (f", {entry.phase}" if entry.phase else "")
        + (f": {entry.error}" if entry.error else "")
    )


LIST_LIBRARY = ToolDefinition(
    name="list-library",
    title="List the library",
    description=(
        "What is on the user's machine: models (what each can do, size, context, which are defaults, which are in memory), adapters that were trained, "
        "recorded sessions, and jobs of the last day. Use it to choose a `model` or an `adapter`, or to find the id of a job. A hub model that is not listed can still be "
        "named: it is downloaded when it is first used, unless the user forbids that."
    ),
    arguments=ListLibraryArguments,
    function=list_library,
    answer=Library,
    annotations=hints(read_only=True, destructive=False, idempotent=True, open_world=False),
)
