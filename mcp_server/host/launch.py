"""How the host's process is started and found. Standard library only at import: the shim uses it."""

import sys

from adapters import __version__
from adapters.sockets import connect, peer_process, socket_path


def host_command() -> list[str]:
    """Return the command that runs a host."""
    return [sys.executable, "-P", "-m", "mcp_server.host"]


def host_process() -> int | None:
    """Return the process id of the host, or None when no host runs."""
    connection = connect(socket_path("host", __version__))
    if connection is None:
        return None
    with connection:
        return peer_process(connection)
