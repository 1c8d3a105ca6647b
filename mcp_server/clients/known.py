"""The clients that are known: where each keeps its servers, in which form, and how long it waits for an answer.

Sources are the clients' own documentation, and what their users report of time-outs (November 2026).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adapters.errors import InvalidRequest
from mcp_server.clients import client_paths
from mcp_server.clients.client_paths import application_support, dot_config, in_home
from mcp_server.clients.entry_shapes import Shape

# A YAML file is not written: no library changes one entry and leaves every other character. What to paste is printed.
Form = Literal["json", "jsonc", "toml", "yaml"]


@dataclass(frozen=True)
class KnownClient:
    """A client. `key` is the member that holds its servers, `beside` what its entries have besides the command.

    `shape` is how an entry says what to start, `approving` what lets the client run the tools without asking.
    `reply_within` is the deadline that fits it, in seconds; `project` its file within a project's folder. `trusting` is the
    file beside its own that lists trusted folders, for a client that starts no server in others.
    """

    name: str
    title: str
    path: Callable[[], Path]
    key: str = "mcpServers"
    form: Form = "json"
    reply_within: int = 45
    beside: dict[str, Any] = field(default_factory=dict)
    shape: Shape = "plain"
    approving: dict[str, Any] = field(default_factory=dict)
    trusting: str | None = None
    project: str | None = None
    then: str = "Restart it."


CLIENTS = (
    KnownClient(
        "claude-desktop",
        "Claude Desktop",
        # It gives up after 60 s, whatever it is told.
        application_support("Claude", "claude_desktop_config.json"),
        then="Quit and open Claude Desktop.",
    ),
    KnownClient(
        "claude-code",
        "Claude Code",
        in_home("", ".claude.json", "CLAUDE_CONFIG_DIR"),
        # It puts a call into the background after two minutes.
        reply_within=100,
        beside={"type": "stdio"},
        project=".mcp.json",
        then="Start a new session; /mcp shows it.",
    ),
    KnownClient("cursor", "Cursor", in_home(".cursor", "mcp.json"), project=".cursor/mcp.json"),
    KnownClient(
        "vscode",
        "VS Code",
        application_support("Code", "User", "mcp.json"),
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
        in_home(".codex", "config.toml", "CODEX_HOME"),
        key="mcp_servers",
        form="toml",
        reply_within=100,
        # Its own defaults are 10 and 60.
        beside={"startup_timeout_sec": 30, "tool_timeout_sec": 120},
        # `codex exec` asks nobody, and refuses tools that need approval. Tried with codex 0.171.
        approving={"default_tools_approval_mode": "approve"},
        project=".codex/config.toml",
        then="Start a new session. `codex exec` refuses tools that change something, unless setup was told --approve.",
    ),
    KnownClient(
        "gemini-cli",
        "Gemini CLI",
        client_paths.gemini_cli,
        form="jsonc",
        reply_within=100,
        beside={"timeout": 120_000},
        approving={"trust": True},
        trusting="trustedFolders.json",
        project=".gemini/settings.json",
        then="Start a new session in a folder that you trust (/permissions): Gemini CLI starts no server in others.",
    ),
    KnownClient("windsurf", "Windsurf", in_home(".codeium/windsurf", "mcp_config.json")),
    # `copilot mcp get` of @github/copilot 1.0.102 shows each of these.
    KnownClient(
        "copilot-cli",
        "Copilot CLI",
        in_home(".copilot", "mcp-config.json", "COPILOT_HOME"),
        reply_within=100,
        beside={"type": "local", "tools": ["*"], "timeout": 120_000},
        then="Start a new session; /mcp shows it.",
    ),
    # cline 3.0: @cline/core reads a nested transport from here.
    KnownClient("cline", "Cline", client_paths.cline, shape="transport", then="Start a new session."),
    # The extension saoudrizwan.claude-dev keeps the older, flat form; its time-out is in seconds.
    KnownClient(
        "cline-vscode",
        "Cline in VS Code",
        application_support("Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
        reply_within=100,
        beside={"timeout": 120},
    ),
    # opencode.ai/docs/mcp-servers; tried with opencode-ai 1.18. The time-out is in milliseconds.
    KnownClient(
        "opencode",
        "opencode",
        client_paths.opencode,
        key="mcp",
        form="jsonc",
        reply_within=100,
        shape="list",
        beside={"type": "local", "timeout": 120_000},
        project="opencode.json",
        then="Start a new session; `opencode mcp list` shows it.",
    ),
    # A descendant of Gemini CLI; tried with @qwen-code/qwen-code 0.24.
    KnownClient(
        "qwen-code",
        "Qwen Code",
        in_home(".qwen", "settings.json", "QWEN_HOME"),
        form="jsonc",
        reply_within=100,
        beside={"timeout": 120_000},
        approving={"trust": True},
        project=".qwen/settings.json",
        then="Start a new session; /mcp shows it.",
    ),
    # zed.dev/docs/ai/mcp. The same folder on macOS and Linux.
    KnownClient("zed", "Zed", lambda: dot_config() / "zed/settings.json", key="context_servers", form="jsonc"),
    # lmstudio.ai/docs/app/mcp: Cursor's notation.
    KnownClient("lm-studio", "LM Studio", client_paths.lm_studio),
    # junie.jetbrains.com/docs and the help of the IDE plugin.
    KnownClient("junie", "JetBrains Junie", in_home(".junie", "mcp/mcp.json"), project=".junie/mcp/mcp.json"),
    # kiro.dev/docs/mcp/configuration
    KnownClient("kiro", "Kiro", in_home(".kiro", "settings/mcp.json"), project=".kiro/settings/mcp.json"),
    # ampcode.com/manual; `amp mcp list` of @ampcode/cli shows it.
    KnownClient("amp", "Amp", client_paths.amp, key="amp.mcpServers", form="jsonc", project=".amp/settings.json"),
    # antigravity.google/docs/mcp
    KnownClient("antigravity", "Antigravity", client_paths.antigravity),
    # docs.continue.dev/reference: a list, whose members have names.
    KnownClient("continue", "Continue", in_home(".continue", "config.yaml", "CONTINUE_GLOBAL_DIR"), form="yaml"),
    # goose's documentation/docs/guides/config-files.md; the time-out is in seconds.
    KnownClient(
        "goose",
        "Goose",
        lambda: dot_config() / "goose/config.yaml",
        key="extensions",
        form="yaml",
        reply_within=100,
        shape="goose",
        beside={"type": "stdio", "enabled": True, "timeout": 120},
    ),
)

# What most clients read, for one that is not known.
ANY_CLIENT = KnownClient("any", "any other client", lambda: Path("its configuration"))


def known_client(name: str) -> KnownClient:
    """Return the client of that name. Raises InvalidRequest with the names there are."""
    for client in CLIENTS:
        if client.name == name:
            return client
    raise InvalidRequest(f"there is no client {name!r}; known are {', '.join(client.name for client in CLIENTS)}")
