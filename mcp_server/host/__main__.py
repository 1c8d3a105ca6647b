"""The host's process. Started by a shim when there is none; ends by itself."""

import asyncio
import logging
import signal
import socket
import sys

from adapters import __version__
from adapters.errors import ServerError
from adapters.settings import read_settings
from adapters.sockets import listener, socket_path

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s | %(message)s"


def main(*, ends_when_idle: bool = True) -> int:
    """Serve until the end. Gives 0 at once when another host is there already."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    try:
        settings = read_settings()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with listener(socket_path("host", __version__)) as listening:
        if listening is None:
            return 0
        asyncio.run(_serve(settings, listening, ends_when_idle))
    return 0


async def _serve(settings: object, listening: socket.socket, ends_when_idle: bool) -> None:
    from mcp_server.host.listen import Host

    host = Host(settings, ends_when_idle=ends_when_idle)  # pyright: ignore[reportArgumentType]
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, host.stop)
    await host.serve(listening)


if __name__ == "__main__":
    sys.exit(main())
