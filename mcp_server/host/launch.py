"""How the host's process is started. Standard library only: the shim uses it."""

import sys


def host_command() -> list[str]:
    """The command that runs a host."""
    return [sys.executable, "-P", "-m", "mcp_server.host"]
