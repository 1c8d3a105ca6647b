"""The local tools for a Strands agent: the server as a subprocess, with time-outs that fit its deadline."""

import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters, stdio_client
from strands.tools.mcp import MCPClient

from adapters.command_line import checked_options, command_line
from adapters.options import OPTIONS
from adapters.settings import read_settings
from adapters.strands.messages import check_tool_name

Progress = Callable[[float, float | None, str | None], Awaitable[None]]

# What a tool's answer may take beyond its deadline: the start of the engine, and a busy machine.
_PATIENCE_SECONDS = 20.0
_START_SECONDS = 60
_LONGEST_TOOL = "describe-image"


def local_tools(*, prefix: str | None = None, progress: Progress | None = None, **options: Any) -> MCPClient:
    """Return the tools of the server on this machine: `Agent(tools=[local_tools(allow=["/data"])])`.

    `progress` is awaited with (done, total, message); left out, progress goes to stderr. Raises InvalidRequest for a
    prefix that no tool's name may have, for an option that is not known, and for one whose value cannot be.
    """
    if prefix is not None:
        check_tool_name(f"{prefix}_{_LONGEST_TOOL}")
    given = checked_options(options)
    # The server reads the same environment and the same file: this is the deadline that it will keep.
    reply_within = read_settings(**given).reply_within
    words = command_line({**given, "reply_within": reply_within})
    # This interpreter, absolutely: an agent's process may have any PATH.
    command = StdioServerParameters(command=sys.executable, args=["-m", "mcp_server", *words], env=dict(os.environ))
    return _LocalTools(
        lambda: stdio_client(command),
        timeout=timedelta(seconds=reply_within + _PATIENCE_SECONDS),
        prefix=prefix,
        progress_callback=progress or _to_stderr,
        startup_timeout=_START_SECONDS,
    )


def _tell_editors() -> None:
    """Give `local_tools` the table's options in its signature and its docstring, as `help(local_tools)` shows them."""
    signature = inspect.signature(local_tools)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_TYPES[option.kind])
        for option in OPTIONS.values()
    ]
    local_tools.__signature__ = signature.replace(parameters=[*options, *own])  # pyright: ignore[reportFunctionMemberAccess]
    listed = "\n".join(f"    {option.name}: {option.help}." for option in OPTIONS.values())
    local_tools.__doc__ = f"{inspect.getdoc(local_tools) or ''}\n\nThe options, each left out by default:\n{listed}\n"


_TYPES = {
    "folders": Sequence[str | Path],
    "folder": str | Path,
    "seconds": float,
    "names": Sequence[str],
    "name": str,
    "switch": bool,
}
_tell_editors()


class _LocalTools(MCPClient):
    """An `MCPClient` whose tools have a time-out each: Strands has none by default."""

    def __init__(self, transport: Any, *, timeout: timedelta, **options: Any) -> None:
        super().__init__(transport, **options)
        self._timeout = timeout

    def list_tools_sync(self, *given: Any, **named: Any) -> Any:
        """Return the tools, with their time-outs."""
        listed = super().list_tools_sync(*given, **named)
        for tool in listed:
            tool.timeout = self._timeout
        return listed


async def _to_stderr(done: float, total: float | None, message: str | None) -> None:
    share = f" {100 * done / total:.0f} %" if total else ""
    sys.stderr.write(f"progress=<{message or ''}>{share}\n")
