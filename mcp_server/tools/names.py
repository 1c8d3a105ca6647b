"""Which model and adapter a client may name, and what the engine is told to use."""

import asyncio
import contextlib

from adapters.errors import BadAdapter
from adapters.lora.trained_adapters import base_of, resolve_adapter
from adapters.models.abilities import Ability
from adapters.models.names import resolve
from mcp_server.connection import Connection


async def named_model(connection: Connection, name: str, ability: Ability = "text") -> str:
    """Return the model to ask the engine for; `ability` is the job for which "default" stands.

    Raises ModelNotFound and the like when this client may not use it.
    """
    settings = connection.settings
    found = await asyncio.to_thread(resolve, name, settings, ability, connection.grants.folders)
    return found.display_name


async def named_adapter(
    connection: Connection, adapter: str | None, model: str, ability: Ability = "text"
) -> tuple[str | None, str]:
    """Return the adapter and the model to ask the engine for; a model that was left out is the adapter's own.

    Raises AdapterNotFound, ModelNotFound and the like when this client may not use one of them.
    """
    if adapter is None:
        return None, await named_model(connection, model, ability)
    found = await asyncio.to_thread(resolve_adapter, adapter, connection.settings, connection.grants.folders)
    if model not in ("", "default"):
        return found.display_name, await named_model(connection, model, ability)
    if found.folder is None:
        return found.display_name, "default"  # the engine reads what it belongs to once it is here
    with contextlib.suppress(BadAdapter):  # one that does not say: the usual model is tried, and refused if need be
        model = await asyncio.to_thread(base_of, found.folder)
    return found.display_name, await named_model(connection, model, ability)
