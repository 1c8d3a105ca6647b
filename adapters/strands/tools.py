"""The local tools for a Strands agent: the server as a subprocess, with time-outs that fit its deadline."""

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters, stdio_client
from strands.tools.mcp import MCPClient

from adapters.errors import InvalidRequest
from adapters.strands.messages import check_tool_name

# What a tool's answer may take beyond its deadline: the start of the engine, and a busy machine.
_PATIENCE_SECONDS = 20.0
_START_SECONDS = 60
_LONGEST_TOOL = "describe-image"


def local_tools(
    *,
    allow: Sequence[str | Path] = (),
    tools: Sequence[str] = (),
    model: str | None = None,
    vision_model: str | None = None,
    speech_model: str | None = None,
    read_only: bool = False,
    offline: bool = False,
    reply_within: float = 45.0,
    prefix: str | None = None,
    progress: Any = None,
) -> MCPClient:
    """The tools of the server on this machine: `Agent(tools=[local_tools(allow=["/data"])])`.

    `allow` are the folders whose files they may read, `tools` those to offer (all by default). `progress` is awaited with
    (done, total, message); left out, progress goes to stderr. Raises InvalidRequest for a prefix that no tool's name may
    have, or an option that is out of range.
    """
    if prefix is not None:
        check_tool_name(f"{prefix}_{_LONGEST_TOOL}")
    if not 1 <= reply_within <= 3600:
        raise InvalidRequest(f"reply_within={reply_within:g} is not between 1 and 3600 seconds; 45 suits most")
    options = ["--reply-within", f"{reply_within:g}"]
    for folder in allow:
        options += ["--allow", str(Path(folder).expanduser().absolute())]
    for flag, value in (("--model", model), ("--vision-model", vision_model), ("--speech-model", speech_model)):
        options += [flag, value] if value else []
    options += ["--tools", ",".join(tools)] if tools else []
    options += ["--read-only"] * read_only + ["--offline"] * offline
    # This interpreter, absolutely: an agent's process may have any PATH.
    command = StdioServerParameters(command=sys.executable, args=["-m", "mcp_server", *options], env=dict(os.environ))
    return _LocalTools(
        lambda: stdio_client(command),
        timeout=timedelta(seconds=reply_within + _PATIENCE_SECONDS),
        prefix=prefix,
        progress_callback=progress or _to_stderr,
        startup_timeout=_START_SECONDS,
    )


class _LocalTools(MCPClient):
    """An `MCPClient` whose tools have a time-out each: Strands has none by default."""

    def __init__(self, transport: Any, *, timeout: timedelta, **options: Any) -> None:
        super().__init__(transport, **options)
        self._timeout = timeout

    def list_tools_sync(self, *given: Any, **named: Any) -> Any:
        """The tools, with their time-outs."""
        listed = super().list_tools_sync(*given, **named)
        for tool in listed:
            tool.timeout = self._timeout
        return listed


async def _to_stderr(done: float, total: float | None, message: str | None) -> None:
    share = f" {100 * done / total:.0f} %" if total else ""
    sys.stderr.write(f"progress=<{message or ''}>{share}\n")
