"""How the host's process is started. Standard library only: the shim uses it."""

import os
import sys

from adapters.places import log_file


def host_command() -> list[str]:
    """The command that runs a host."""
    return [sys.executable, "-P", "-m", "mcp_server.host"]


def host_log() -> int:
    """A descriptor of the host's log, to append to."""
    return os.open(log_file("host"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
