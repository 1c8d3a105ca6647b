"""The host's process. Started by a shim when there is none; ends by itself."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING

from adapters import __version__
from adapters.errors import ServerError
from adapters.settings import Settings, read_settings
from adapters.sockets import listener, socket_path

if TYPE_CHECKING:
    from mcp_server.http.serving import Address

# Each client takes two, and macOS begins with 256.
_DESCRIPTORS = 8192
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s | %(message)s"


def main() -> int:
    """Serve shims until no client is left. Gives 0 at once when another host is there already."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    try:
        settings = read_settings()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with listener(socket_path("host", __version__)) as listening:
        if listening is not None:
            asyncio.run(_serve(settings, listening, ends_when_idle=True))
    return 0


def stay(settings: Settings, http: "Address | None" = None) -> None:
    """Serve shims, and HTTP where that is wanted, until this process is told to stop.

    Where another host serves the shims, HTTP is served all the same. Raises InvalidRequest for an address that cannot be
    had, and for a token that is not this user's alone.
    """
    with listener(socket_path("host", __version__)) as listening:
        asyncio.run(_serve(settings, listening, ends_when_idle=False, http=http))


async def _serve(
    settings: Settings, listening: socket.socket | None, *, ends_when_idle: bool, http: "Address | None" = None
) -> None:
    from mcp_server.host.listen import Host

    _raise_descriptors()
    host = Host(settings, ends_when_idle=ends_when_idle)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, host.stop)
    async with contextlib.AsyncExitStack() as stack:
        if http is not None:
            from mcp_server.connection import Connection
            from mcp_server.http.serving import http_front

            connection = Connection.make(settings, None, host.engine)
            await stack.enter_async_context(http_front(connection, http, http.bind()))
        await host.serve(listening)


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
