"""Which model a client may name, and what the engine is told to use."""

import asyncio

from adapters.models.names import resolve
from mcp_server.host.connection import Connection


async def named_model(connection: Connection, name: str) -> str:
    """The model to ask the engine for. Raises ModelNotFound and the like when this client may not use it."""
    found = await asyncio.to_thread(
        resolve, name, connection.settings.model, connection.settings, connection.grants.folders
    )
    return found.shown
