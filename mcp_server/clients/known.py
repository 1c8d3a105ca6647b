"""The clients that are known: where each keeps its servers, in which form, and how long it waits for an answer.

Sources are the clients' own documentation, and what their users report of time-outs (November 2026).
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adapters.errors import InvalidRequest

Form = Literal["json", "jsonc", "toml"]


@dataclass(frozen=True)
class KnownClient:
    """A client. `key` is the member that holds its servers, `beside` what its entries have besides the command.

    `reply_within` is the deadline that fits it, in seconds; `project` its file within a project's folder.
    """

    name: str
    title: str
    path: Callable[[], Path]
    key: str = "mcpServers"
    form: Form = "json"
    reply_within: int = 45
    beside: dict[str, Any] = field(default_factory=dict)
    project: str | None = None
    then: str = "Restart it."


def _application_support(*parts: str) -> Path:
    base = Path.home() / ("Library/Application Support" if sys.platform == "darwin" else ".config")
    return base.joinpath(*parts)


def _in_home(folder: str, file: str, variable: str | None = None) -> Callable[[], Path]:
    """Return a file in a folder of the home folder, which a variable may move."""

    def path() -> Path:
        moved = os.environ.get(variable) if variable else None
        return Path(moved).expanduser() / file if moved else Path.home() / folder / file

    return path


CLIENTS = (
    KnownClient(
        "claude-desktop",
        "Claude Desktop",
        # It gives up after 60 s, whatever it is told.
        lambda: _application_support("Claude", "claude_desktop_config.json"),
        then="Quit and open Claude Desktop.",
    ),
    KnownClient(
        "claude-code",
        "Claude Code",
        _in_home("", ".claude.json", "CLAUDE_CONFIG_DIR"),
        # It puts a call into the background after two minutes.
        reply_within=100,
        beside={"type": "stdio"},
        project=".mcp.json",
        then="Start a new session; /mcp shows it.",
    ),
    KnownClient("cursor", "Cursor", _in_home(".cursor", "mcp.json"), project=".cursor/mcp.json"),
    KnownClient(
        "vscode",
        "VS Code",
        lambda: _application_support("Code", "User", "mcp.json"),
        key="servers",
        form="jsonc",
        reply_within=100,
        beside={"type": "stdio"},
        project=".vscode/mcp.json",
        then="Run `MCP: List Servers` and start it.",
    ),
    KnownClient(
        "codex",
        "Codex",
        _in_home(".codex", "config.toml", "CODEX_HOME"),
        key="mcp_servers",
        form="toml",
        reply_within=100,
        # Its own defaults are 10 and 60.
        beside={"startup_timeout_sec": 30, "tool_timeout_sec": 120},
        project=".codex/config.toml",
        then="Start a new session.",
    ),
    KnownClient(
        "gemini-cli",
        "Gemini CLI",
        _in_home(".gemini", "settings.json"),
        form="jsonc",
        reply_within=100,
        beside={"timeout": 120_000},
        project=".gemini/settings.json",
        then="Start a new session; /mcp shows it.",
    ),
    KnownClient("windsurf", "Windsurf", _in_home(".codeium/windsurf", "mcp_config.json")),
)


def known_client(name: str) -> KnownClient:
    """Return the client of that name. Raises InvalidRequest with the names there are."""
    for client in CLIENTS:
        if client.name == name:
            return client
    raise InvalidRequest(f"there is no client {name!r}; known are {', '.join(client.name for client in CLIENTS)}")
