"""The library as resources, for clients that let a person attach them."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import Resource

from adapters.errors import AdapterNotFound, InvalidRequest, JobNotFound
from adapters.lora.trained_adapters import names as adapter_names
from adapters.lora.trained_adapters import trained_adapter
from adapters.places import lora_folder, recordings_folder
from adapters.protocol.wire import json_of
from adapters.recordings import store
from mcp_server.connection import CURRENT
from mcp_server.tools.following import following
from mcp_server.tools.list_library import adapter_entry, whole_library
from mcp_server.tools.outcomes import ALL_PHASES, any_answer
from mcp_server.ways_out import for_client

if TYPE_CHECKING:
    from mcp.server import MCPServer

_KNOWN_SECONDS = 10.0
# Of each kind, in the list of resources; templates and completions reach the others.
_MOST_LISTED = 100


def library_resources() -> list[Resource]:
    """Return the adapters and sessions that there are, newest first: what a person can attach by picking it."""
    adapters = [
        Resource(
            uri=f"adapter://{path.name}", name=path.name, title=f"Adapter {path.name}", mime_type="application/json"
        )
        for path in _newest([lora_folder() / name for name in adapter_names()])
    ]
    sessions = [
        Resource(
            uri=f"session://{path.stem}", name=path.stem, title=f"Session {path.stem}", mime_type="application/json"
        )
        for path in _newest(list(recordings_folder().glob("*.jsonl")))
    ]
    return adapters + sessions


def _newest(paths: list[Path]) -> list[Path]:
    stamped = list[tuple[float, Path]]()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            stamped.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(stamped, reverse=True)[:_MOST_LISTED]]


def add_resources(server: "MCPServer[Any]") -> None:
    """Register `library://models`, `adapter://{name}`, `session://{id}` and `job://{id}`."""

    @server.resource("library://models", title="Models on this machine", mime_type="application/json")
    async def models() -> str:
        """Every model that can be named, with its size, its context, and whether it is in memory."""
        library = await whole_library(CURRENT.get(), "models")
        return json_of(library, exclude_none=True).decode()

    @server.resource("adapter://{name}", title="A trained adapter", mime_type="application/json")
    async def adapter(name: str) -> str:
        """What is known of an adapter: its model, its making, what it learned."""
        try:
            found = await asyncio.to_thread(trained_adapter, name)
        except AdapterNotFound as error:
            raise ResourceNotFoundError(for_client(error)) from error
        made = found.manifest.model_dump(exclude_none=True) if found.manifest else {}
        return json.dumps(adapter_entry(found).model_dump(exclude_none=True) | made, ensure_ascii=False, indent=1)

    @server.resource("session://{id}", title="A recorded session", mime_type="application/json")
    async def session(id: str) -> str:  # noqa: A002
        """The conversations of a session, as they were recorded."""
        try:
            found = await asyncio.to_thread(store.read, id)
        except InvalidRequest as error:
            raise ResourceNotFoundError(for_client(error)) from error
        return json.dumps([one.model_dump(exclude_defaults=True) for one in found.conversations], ensure_ascii=False)

    @server.resource("job://{id}", title="A job", mime_type="application/json")
    async def job(id: str) -> str:  # noqa: A002
        """A job's state and result, or what there is so far."""
        connection = CURRENT.get()
        try:
            async with following(connection.engine.attach(id), id, ALL_PHASES) as followed:
                await followed.known(_KNOWN_SECONDS)
                answer = any_answer(followed.view(), connection.settings)
                return json_of(answer, by_alias=True, exclude_none=True).decode()
        except JobNotFound as error:
            raise ResourceNotFoundError(for_client(error)) from error
