"""The connections of HTTP: how many there may be, and how long each may take over what it sends.

Whoever has not shown the token is a stranger. Strangers share a few places among themselves: the newest takes that of the
oldest. A connection on which the token was shown has a place of its own, so that strangers keep nobody out.
"""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
MOST_STRANGERS = 64
# How many connections are accepted before those that are there are heard. A few rounds pass before one that sends its
# request at once is heard: with as many as there are places, a flood would push it out before.
ACCEPTED_AT_ONCE = 8
# Within which the head of a request must have come, from its first byte on or from the connection's first moment; and its
# body after that, in seconds. A connection rests between requests no longer than this.
HEAD_SECONDS = 10.0
BODY_SECONDS = 60.0
IDLE_SECONDS = 30
# uvicorn warns of every request that it cannot read: strangers would fill the log.
_LOG = logging.getLogger("mcp_server.http.uvicorn")
_LOG.setLevel(logging.ERROR)

ADMIT = "mcp_server_mlx_admit"


class Connections:
    """Who is connected."""

    def __init__(self) -> None:
        self._strangers: dict[_Protocol, None] = {}  # in the order in which they came
        self._known = set[_Protocol]()

    def came(self, one: "_Protocol") -> None:
        self._strangers[one] = None
        if len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()

    def admit(self, one: "_Protocol") -> bool:
        """Give a connection that showed the token its own place; False when there is none left."""
        if one in self._known:
            return True
        if len(self._known) >= MOST_CONNECTIONS:
            return False
        if one in self._strangers:
            del self._strangers[one]
            self._known.add(one)
        return True

    def went(self, one: "_Protocol") -> None:
        self._strangers.pop(one, None)
        self._known.discard(one)

    def protocol(self, *arguments: Any, **named: Any) -> "_Protocol":
        """Make the protocol of a new connection, as uvicorn does of its own class."""
        return _Protocol(self, *arguments, **named)


class _Protocol(H11Protocol):
    """One connection. uvicorn bounds how long it rests; here is what bounds the rest, for each request anew."""

    def __init__(self, connections: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _LOG
        self.app_state = {**self.app_state, ADMIT: lambda: connections.admit(self)}
        self._everybody = connections
        self._part: str | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._everybody.came(self)
        self._time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._everybody.went(self)
        self._wait_for(None)
        super().connection_lost(exc)

    def _time(self) -> None:
        """Begin to time the part that is being sent now, unless it is timed already."""
        if self.transport.is_closing():
            self._wait_for(None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for("body")
        elif self.conn.their_state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            self._wait_for("head")
        else:
            self._wait_for(None)

    def _wait_for(self, part: str | None) -> None:
        if part == self._part:
            return
        self._part = part
        if self._patience is not None:
            self._patience.cancel()
        # The application gives up on a body sooner, with an answer that says so.
        seconds = HEAD_SECONDS if part == "head" else BODY_SECONDS + 5
        self._patience = self.loop.call_later(seconds, self.transport.abort) if part else None
