"""The HTTP front: an ASGI application around the MCP server, and the process's part in serving it."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import jsonrpc_message_adapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.errors import InvalidRequest
from adapters.protocol.surrogates import whole_json
from mcp_server.connection import CURRENT, Connection
from mcp_server.envelope import fault
from mcp_server.http import DEFAULT_PORT, connections
from mcp_server.http.names import Names, named
from mcp_server.http.token import TokenCheck
from mcp_server.server import make_server

logger = logging.getLogger(__name__)

PATH = "/mcp"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A call may hold pictures as data URIs; files go by path.
LARGEST_BODY = 32 << 20
# How many connections may wait to be accepted.
_QUEUE = 1024
# How long a session may rest, in seconds; and how long a refused request may go on being sent, so that its sender is
# done with it and reads the answer.
_SESSION_IDLE_SECONDS = 1800.0
_DRAIN_SECONDS = 3.0
_ENDING_SECONDS = 3
_NOTE_SECONDS = 10.0
_TOO_LARGE = f"the body has over {LARGEST_BODY} bytes; give large files by path"
_GONE = b"(gone)"  # told apart by identity


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

        for name in self.names:
            named(name)

    @property
    def url(self) -> str:
        place = named(self.names[0] if self.names else self.host)
        return f"http://{place.host}:{place.port or self.port}{PATH}"

    def answered(self) -> Names:
        """Return the names that are answered: pages of other sites are refused, whatever name leads here."""
        return Names(named(name) for name in (*(LOOPBACK if self.host in LOOPBACK else ()), *self.names))

    def bind(self) -> socket.socket:
        """Return a listening socket there. Raises InvalidRequest when the port or address cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self.host, self.port))
            listening.listen(_QUEUE)
        except OSError as error:
            listening.close()
            raise InvalidRequest(
                f"cannot serve on {self.host} port {self.port}: {error.strerror}; choose another with --port"
            ) from error
        return listening


class Guarded:
    """The application for those who ask by a right name and show the token. Each request belongs to the connection of
    HTTP clients.
    """

    def __init__(self, app: ASGIApp, check: TokenCheck, names: Names, connection: Connection) -> None:
        self._app, self._check, self._names, self._connection = app, check, names, connection
        self._strangers, self._noted = 0, -_NOTE_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if refusal := self._refusal(scope):
            await _refused(scope, receive, send, *refusal)
            return
        try:
            async with asyncio.timeout(connections.BODY_SECONDS):
                body = await _body(receive)
        except TimeoutError:
            late = f"the body did not come within {connections.BODY_SECONDS:g} seconds; send it with the request"
            await _refused(scope, receive, send, 408, late, drain=False)
            return
        if body is None:
            await _refused(scope, receive, send, 413, _TOO_LARGE)
        elif body is not _GONE:
            body, wrong = _examined(whole_json(body))
            if wrong is not None:
                await _answered(send, 400, wrong, (b"content-type", b"application/json"))
                return
            CURRENT.set(self._connection)
            await self._app(scope, _replayed(body, receive), send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and the reason for a request that is not answered."""
        if scope["path"] != PATH:
            return 404, f"there is nothing here; MCP is at {PATH}"
        if not self._names.answer_to(_values(scope, b"host")):
            return 421, "this server does not answer to that Host; --http-host NAME adds a name to `serve --http`"
        if not self._names.let_in(_values(scope, b"origin")):
            return 403, "pages of that Origin are not answered; --http-host NAME adds a name to `serve --http`"
        shown = _values(scope, b"authorization")
        if len(shown) != 1 or not self._check(shown[0]):
            self._note_stranger(scope.get("client"))
            return 401, (
                "the token is missing or not this server's; send `Authorization: Bearer TOKEN` with the token that `mcp-server-mlx token` shows"
            )
        if not scope["state"][connections.ADMIT]():
            return 503, f"{connections.MOST_CONNECTIONS} connections are open already; close some"
        length = _values(scope, b"content-length")
        if length and (len(length[0]) > 15 or int(length[0]) > LARGEST_BODY):
            return 413, _TOO_LARGE
        return None

    def _note_stranger(self, client: object) -> None:
        """Once in a while: a stranger must not fill the log."""
        self._strangers += 1
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            logger.warning("client=<%s>, requests=<%s> | refused without the token", client, self._strangers)
            self._noted, self._strangers = time.monotonic(), 0


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body; None for one that is too large, _GONE when its sender has gone."""
    gathered = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return _GONE
        gathered += message.get("body", b"")
        if len(gathered) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(gathered)


def _examined(body: bytes) -> tuple[bytes, bytes | None]:
    """Return the body to hand on, and the answer to a message that is wrong. What is no message the SDK answers."""
    try:
        message = jsonrpc_message_adapter.validate_json(body, by_name=False)
        before = getattr(message, "params", None)
        wrong = fault(message, body)
    except (ValueError, RecursionError):
        return body, None
    changed = getattr(message, "params", None) is not before
    return (message.model_dump_json(by_alias=True, exclude_unset=True).encode() if changed else body), wrong


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives the body again, and then whatever comes after it."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


async def _refused(scope: Scope, receive: Receive, send: Send, status: int, reason: str, *, drain: bool = True) -> None:
    """Answer, and close the connection. What is still being sent is read a while, since a sender reads afterwards."""
    if drain and not _values(scope, b"expect"):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await _answered(send, status, f"{reason}\n".encode(), *headers)


async def _answered(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """uvicorn without handlers of signals: they are the process's."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio takes one number for both: how many wait, and how many it accepts at once.
        self._listening.listen(_QUEUE)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def http_front(connection: Connection, address: Address, listening: socket.socket) -> AsyncIterator[None]:
    """Serve MCP on the socket while the block runs."""
    CURRENT.set(connection)
    sessions = StreamableHTTPSessionManager(
        app=make_server(connection.settings)._lowlevel_server,  # pyright: ignore[reportPrivateUsage]
        session_idle_timeout=_SESSION_IDLE_SECONDS,
        max_request_body_size=LARGEST_BODY,
    )
    config = uvicorn.Config(
        Guarded(sessions.handle_request, TokenCheck(), address.answered(), connection),
        # uvicorn asks for a class and only calls it.
        http=connections.Connections().protocol,  # pyright: ignore[reportArgumentType]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_ENDING_SECONDS,
        timeout_keep_alive=connections.IDLE_SECONDS,
        backlog=connections.ACCEPTED_AT_ONCE,
    )
    server = _Server(config, listening)
    async with sessions.run():
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
