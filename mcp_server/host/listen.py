"""The host's socket: one MCP session for every shim that connects, in whichever protocol era its client opens."""

import asyncio
import contextlib
import json
import logging
import socket
import time
from pathlib import Path
from typing import Any

import anyio
import mcp_types
from mcp.server.runner import serve_dual_era_loop
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from adapters import __version__
from adapters.engine import EngineClient
from adapters.errors import EngineBusy, ServerError, innermost
from adapters.protocol.surrogates import whole_json
from adapters.protocol.wire import json_of
from adapters.settings import Settings, for_client
from adapters.sockets import LINE_LIMIT, is_own_user
from mcp_server.connection import CURRENT, Connection
from mcp_server.envelope import fault
from mcp_server.host.library_watch import watch_library
from mcp_server.request_id import request_id
from mcp_server.server import make_server
from mcp_server.ways_out import for_person

logger = logging.getLogger(__name__)

MOST_CLIENTS = 1000
# How many messages a client may send while it does not read; among them may be what cancels its calls.
_MOST_BEHIND = 64
_GREETING_SECONDS = 10.0
_HOUSEKEEPING_SECONDS = 5.0


class Host:
    """Serves shims until told to stop, or until no client has been there for `host_idle` seconds."""

    def __init__(self, settings: Settings, *, ends_when_idle: bool = True) -> None:
        self._settings, self._ends_when_idle = settings, ends_when_idle
        self.engine = EngineClient()
        self._clients = 0
        self._used = time.monotonic()
        self._stopping = asyncio.Event()

    async def serve(self, listening: socket.socket | None) -> None:
        """Accept shims on this socket until the end; without one, be there until the end."""
        tasks = [asyncio.create_task(self._keep_house()), asyncio.create_task(watch_library())]
        try:
            if listening is None:
                await self._stopping.wait()
                return
            async with await asyncio.start_unix_server(self._connected, sock=listening, limit=LINE_LIMIT) as server:
                await self._stopping.wait()
                server.close()
        finally:
            for task in tasks:
                task.cancel()
            await self.engine.close()

    def stop(self) -> None:
        """Have `serve` return."""
        self._stopping.set()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            if self._clients:
                self._used = time.monotonic()
            elif self._ends_when_idle and time.monotonic() - self._used > self._settings.host_idle:
                logger.info("idle_s=<%s> | no client is left, ending", self._settings.host_idle)
                self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_own_user(writer.get_extra_info("socket")):
            logger.warning("another user's connection was refused")
            writer.close()
            return
        self._clients += 1
        try:
            connection = await self._greet(reader, writer)
            if connection is not None:
                await serve_session(connection, reader, writer)
        except* (ConnectionError, TimeoutError) as group:
            logger.info("error=<%s> | a client's connection ended", innermost(group))
        except* Exception:
            logger.exception("a client's session failed on an error nobody foresaw")
        finally:
            self._clients -= 1
            self._used = time.monotonic()
            with contextlib.suppress(OSError):
                writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection | None:
        """Read the shim's first line and answer it: with an error when its options cannot be."""
        greeting = await asyncio.wait_for(reader.readline(), _GREETING_SECONDS)
        if not greeting:
            return None
        try:
            if self._clients > MOST_CLIENTS:
                raise EngineBusy(f"{MOST_CLIENTS} clients are connected already; close some")
            connection = connection_of(greeting, self.engine)
            make_server(connection.settings)  # before the answer: a tool that does not exist is a wrong option
            answer: dict[str, Any] = {"ok": True, "version": __version__}
        except (ServerError, ValueError, KeyError, TypeError) as error:
            connection, answer = None, {"error": for_person(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        return connection


def connection_of(greeting: bytes, engine: EngineClient) -> Connection:
    """Return the connection that a shim's first line describes. Raises InvalidRequest for wrong options."""
    told = json.loads(greeting)
    return Connection.make(for_client(told["options"]), Path(told["cwd"]), engine)


async def serve_session(connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak MCP on the streams until the client ends, in the era that it opens with."""
    CURRENT.set(connection)
    server = make_server(connection.settings)._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    to_server, from_client = create_context_streams[SessionMessage | Exception](0)
    to_client, from_server = create_context_streams[SessionMessage](0)
    drained = asyncio.Event()
    drained.set()

    async def read() -> None:
        behind = 0
        async with to_server:
            while line := await reader.readline():
                if not line.strip():
                    continue
                # Each request of a client that does not read leaves an answer waiting in memory.
                behind = 0 if drained.is_set() else behind + 1
                if behind > _MOST_BEHIND:
                    await drained.wait()
                try:
                    whole = whole_json(line)
                    message = mcp_types.jsonrpc_message_adapter.validate_json(whole, by_name=False)
                    wrong = fault(message, whole)
                except (ValueError, RecursionError) as error:
                    writer.write(parse_error(error, line))
                    continue
                if wrong is not None:
                    writer.write(wrong)
                    continue
                with contextlib.suppress(anyio.BrokenResourceError):
                    await to_server.send(SessionMessage(message))

    async def write() -> None:
        async with from_server:
            async for message in from_server:
                writer.write(json_of(message.message, by_alias=True, exclude_unset=True) + b"\n")
                # A client that does not read stops its own session here, and nobody else's.
                drained.clear()
                await writer.drain()
                drained.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(write)
        await serve_dual_era_loop(server, from_client, to_client, lifespan_state=connection)
        tasks.cancel_scope.cancel()


def parse_error(error: ValueError | RecursionError, line: bytes) -> bytes:
    """Return the answer to a line that is no JSON-RPC message, under the id of it where that can be read."""
    code, name, problem = -32700, "Parse error", str(error)[:300]
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        problem = first["msg"][:300]
        if first["type"] != "json_invalid":
            code, name = -32600, "Invalid request"
    message = f"{name}: {problem}; send one JSON-RPC 2.0 message a line"
    number = (request_id(line) or b"null").decode("utf-8", "replace")
    told = json.dumps({"code": code, "message": message})
    return f'{{"jsonrpc":"2.0","id":{number},"error":{told}}}\n'.encode()
