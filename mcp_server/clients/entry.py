"""The entry of this server in a client's configuration: an absolute command and its options."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.places import moved
from mcp_server.clients.known import KnownClient

COMMAND = "mcp-server-mlx"


def command() -> list[str]:
    """Return the command that starts this installation, absolutely: clients have a short PATH."""
    beside = Path(sys.executable).with_name(COMMAND)
    # An environment that uvx made for one call may be gone at the next.
    if "archive-v0" in Path(sys.executable).parts and (uvx := shutil.which("uvx")):
        return [os.path.abspath(uvx), COMMAND]
    return [str(beside)] if beside.exists() else [sys.executable, "-P", "-m", "mcp_server"]


def make_entry(client: KnownClient, options: Sequence[str]) -> dict[str, Any]:
    """Return what the client is to start, with its own deadline unless the options have one, and where things are if
    moved.
    """
    first, *rest = command()
    given = list(options)
    if "--reply-within" not in given:
        given += ["--reply-within", str(client.reply_within)]
    # The same for all clients, or they would share neither an engine nor the models.
    return client.beside | {"command": first, "args": [*rest, *given]} | ({"env": moved()} if moved() else {})


def is_ours(entry: Any) -> bool:
    """Return whether an entry starts this server, in whichever installation."""
    if not isinstance(entry, dict):
        return False
    arguments = entry.get("args")
    words = [entry.get("command"), *(arguments if isinstance(arguments, list) else [])]
    names = [Path(word).name for word in words if isinstance(word, str)]
    return COMMAND in names or "mcp_server" in names


def merged(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Return the new entry, with what the old one had besides: what a person switched off stays off."""
    if not isinstance(old, dict):
        return new
    env = old["env"] | new.get("env", {}) if isinstance(old.get("env"), dict) else new.get("env")
    return old | new | ({"env": env} if env else {})
