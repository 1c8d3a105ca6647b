"""Which model a client may name, and what the engine is told to use."""

import asyncio

from adapters.models.names import resolve
from mcp_server.host.connection import Connection


async def named_model(connection: Connection, name: str, default: str | None = None) -> str:
    """The model to ask the engine for; `default` is what "default" stands for in the tool that asks.

    Raises ModelNotFound and the like when this client may not use it.
    """
    settings = connection.settings
    found = await asyncio.to_thread(resolve, name, default or settings.model, settings, connection.grants.folders)
    return found.shown
