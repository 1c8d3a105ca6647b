"""The HTTP front: an ASGI application around the MCP server, and the process's part in serving it."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from adapters.errors import InvalidRequest
from adapters.protocol.surrogates import whole_json
from mcp_server.connection import CURRENT, Connection
from mcp_server.http import DEFAULT_PORT
from mcp_server.http.token import TokenCheck
from mcp_server.server import make_server

logger = logging.getLogger(__name__)

PATH = "/mcp"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A call may hold pictures as data URIs; files go by path.
LARGEST_BODY = 32 << 20
MOST_CONNECTIONS = 512
# How many connections may wait to be accepted. asyncio accepts all of them before it closes one that is too many: with
# uvicorn's 2048 a flood takes every descriptor that the process has, and each failure to accept is logged.
_BACKLOG = 128
# Within which a connection must have sent a request, in seconds; and how long a session may rest.
_REQUEST_SECONDS = 15.0
_SESSION_IDLE_SECONDS = 1800.0
_ENDING_SECONDS = 3
_NOTE_SECONDS = 10.0


@dataclass(frozen=True)
class Address:
    """Where HTTP is served, and by which names clients may ask for it there."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.names:
            raise InvalidRequest(
                f"--address {self.host} is reached from other machines; name each host name that they use, with "
                "--http-host NAME, or leave --address out"
            )

    @property
    def url(self) -> str:
        name = self.names[0] if self.names else self.host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}{PATH}"

    def security(self) -> TransportSecuritySettings:
        """Return the Host and Origin headers that are answered: pages of other sites are refused, whatever name leads
        here.
        """
        names = [*(("127.0.0.1", "localhost", "[::1]") if self.host in LOOPBACK else ()), *self.names]
        hosts = [entry for name in names for entry in (name, f"{name}:*")]
        return TransportSecuritySettings(
            allowed_hosts=hosts,
            allowed_origins=[f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts],
        )

    def bind(self) -> socket.socket:
        """Return a listening socket there. Raises InvalidRequest when the port or address cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self.host, self.port))
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            raise InvalidRequest(
                f"cannot serve on {self.host} port {self.port}: {error.strerror}; choose another with --port"
            ) from error
        return listening


class Guarded:
    """The application for those who show the token. Each request belongs to the connection of HTTP clients."""

    def __init__(self, app: ASGIApp, check: TokenCheck, connection: Connection) -> None:
        self._app, self._check, self._connection = app, check, connection
        self._strangers, self._noted = 0, -_NOTE_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            await _refused(send, 404, f"there is nothing here; MCP is at {PATH}")
        elif not self._check(dict(scope["headers"]).get(b"authorization", b"")):
            self._note_stranger(scope.get("client"))
            await _refused(
                send,
                401,
                "the token is missing or not this server's; send `Authorization: Bearer TOKEN` with the token that `mcp-server-mlx token` shows",
            )
        else:
            CURRENT.set(self._connection)
            await self._app(scope, _whole_body(receive), send)

    def _note_stranger(self, client: object) -> None:
        """Once in a while: a stranger must not fill the log."""
        self._strangers += 1
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            logger.warning("client=<%s>, requests=<%s> | refused without the token", client, self._strangers)
            self._noted, self._strangers = time.monotonic(), 0


def _whole_body(receive: Receive) -> Receive:
    """Return the request's body at once, with U+FFFD for lone surrogates. One that is too large passes as it comes."""
    gathered, size, passing = list[bytes](), 0, False

    async def whole() -> Message:
        nonlocal size, passing
        while not passing:
            message = await receive()
            if message["type"] != "http.request":
                return message
            gathered.append(message.get("body", b""))
            size += len(gathered[-1])
            more = message.get("more_body", False)
            passing = not more or size > LARGEST_BODY
            if passing:
                body = b"".join(gathered)
                gathered.clear()
                return {"type": "http.request", "body": body if more else whole_json(body), "more_body": more}
        return await receive()

    return whole


async def _refused(send: Send, status: int, reason: str) -> None:
    headers: list[Any] = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


class _Protocol(H11Protocol):
    """A connection that is closed when it asks for nothing, or is one too many: uvicorn bounds requests only."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._waiting = self.loop.call_later(_REQUEST_SECONDS, self._asked_nothing)

    def _asked_nothing(self) -> None:
        if self.cycle is None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if (waiting := getattr(self, "_waiting", None)) is not None:
            waiting.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """uvicorn without handlers of signals: they are the process's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def http_front(connection: Connection, address: Address, listening: socket.socket) -> AsyncIterator[None]:
    """Serve MCP on the socket while the block runs."""
    CURRENT.set(connection)
    sessions = StreamableHTTPSessionManager(
        app=make_server(connection.settings)._lowlevel_server,  # pyright: ignore[reportPrivateUsage]
        security_settings=address.security(),
        session_idle_timeout=_SESSION_IDLE_SECONDS,
        max_request_body_size=LARGEST_BODY,
    )
    config = uvicorn.Config(
        Guarded(sessions.handle_request, TokenCheck(), connection),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_ENDING_SECONDS,
        backlog=_BACKLOG,
    )
    server = _Server(config)
    async with sessions.run():
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
