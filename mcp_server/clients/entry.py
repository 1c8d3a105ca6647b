"""The entry of this server in a client's configuration: an absolute command and its options."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.errors import InvalidRequest
from adapters.places import moved
from mcp_server.clients.entry_shapes import Start, shaped, start_of
from mcp_server.clients.known import CLIENTS, KnownClient

COMMAND = "mcp-server-mlx"


def command() -> list[str]:
    """Return the command that starts this installation, absolutely: clients have a short PATH."""
    beside = Path(sys.executable).with_name(COMMAND)
    # An environment that uvx made for one call may be gone at the next.
    if "archive-v0" in Path(sys.executable).parts and (uvx := shutil.which("uvx")):
        return [os.path.abspath(uvx), COMMAND]
    return [str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "mcp_server"]


def make_entry(client: KnownClient, options: Sequence[str], *, approve: bool = False) -> dict[str, Any]:
    """Return what the client is to start, with its own deadline unless the options have one, and where things are if
    moved. With `approve`, the client runs the tools without asking; raises InvalidRequest if its file cannot say so.
    """
    if approve and not client.approving:
        able = ", ".join(one.name for one in CLIENTS if one.approving)
        raise InvalidRequest(f"{client.title} has no word for --approve in its file; {able} have")
    given = list(options)
    if "--reply-within" not in given:
        given += ["--reply-within", str(client.reply_within)]
    # The same for all clients, or they would share neither an engine nor the models.
    start = shaped(client.shape, Start((*command(), *given), moved()))
    return client.beside | start | (client.approving if approve else {})


def is_ours(entry: Any) -> bool:
    """Return whether an entry starts this server, in whichever installation and shape."""
    start = start_of(entry)
    names = [Path(word).name for word in start.words] if start else []
    return COMMAND in names or "mcp_server" in names
