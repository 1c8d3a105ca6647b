"""What the host knows about one client: its settings, what it may read, and the engine it shares with the others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from adapters.engine import EngineClient
from adapters.settings import Settings
from mcp_server.grants import Grants


@dataclass(frozen=True)
class Connection:
    settings: Settings
    grants: Grants
    engine: EngineClient

    @classmethod
    def make(cls, settings: Settings, working_directory: Path | None, engine: EngineClient) -> "Connection":
        """`working_directory` is the shim's, granted unless it is too much; None over HTTP."""
        return cls(settings, Grants.of(settings, working_directory), engine)


# The connection of the session that a request came in by; static resources are given no context by the SDK.
CURRENT: ContextVar[Connection] = ContextVar("connection")


@asynccontextmanager
async def current_connection(_: object) -> AsyncIterator[Connection]:
    """The connection that a server's sessions share where they are begun by the SDK."""
    yield CURRENT.get()
