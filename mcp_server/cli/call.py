"""`mcp-server-mlx call TOOL name=value …`: a tool from the command line, as a client calls it."""

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from adapters.command_line import command_line
from adapters.errors import InvalidRequest, ServerError, innermost
from adapters.protocol.surrogates import whole_text, whole_value

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

console = Console()
errors = Console(stderr=True)

_UNDER_WAY = ("queued", "running")
_WAIT_SECONDS = 40


def call(
    tool: Annotated[str, typer.Argument(help="The tool, such as generate.")],
    arguments: Annotated[list[str], typer.Argument(help="name=value each; lists and objects as JSON.")] = [],  # noqa: B006
    allow: Annotated[list[str], typer.Option(help="A folder that it may read, besides this one. Repeatable.")] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print the structured answer.")] = False,
) -> None:
    """Call a tool as a client would, wait until it is done, and print its answer."""
    result = asyncio.run(_call(tool, arguments, command_line({"allow": allow})))
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        raise ServerError(text)
    told = json.dumps(result.structured_content, indent=1, ensure_ascii=False) if as_json else text
    console.print(told, highlight=False, markup=False, soft_wrap=True)


async def _call(tool: str, arguments: list[str], options: list[str]) -> "CallToolResult":
    """Return the tool's result when it is done.

    Raises InvalidRequest for a tool that does not exist, or a server that does not start.
    """
    from mcp import Client, StdioServerParameters  # here: it takes a while to import

    command = ["-P", "-m", "mcp_server", *options]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    try:
        async with Client(server) as client:
            return await _result(client, tool, arguments)
    except* ServerError as group:
        problem = innermost(group)
    except* Exception as group:  # noqa: BLE001  the SDK raises groups of whatever ended the connection
        problem = InvalidRequest(
            f"the server could not be used: {innermost(group)}; `mcp-server-mlx doctor` looks for why"
        )
    raise problem


async def _result(client: "Client", tool: str, arguments: list[str]) -> "CallToolResult":
    schemas = {one.name: one.input_schema for one in (await client.list_tools()).tools}
    if tool not in schemas:
        raise InvalidRequest(f"there is no tool {tool!r}; tools are {', '.join(schemas)}")
    result = await client.call_tool(tool, read_arguments(arguments, schemas[tool]), progress_callback=_print_progress)
    while not result.is_error and (result.structured_content or {}).get("state") in _UNDER_WAY:
        waited = {"job": (result.structured_content or {})["job"], "wait_seconds": _WAIT_SECONDS}
        result = await client.call_tool("check-job", waited, progress_callback=_print_progress)
    return result


async def _print_progress(progress: float, total: float | None, message: str | None) -> None:
    del total
    if errors.is_terminal:
        errors.print(f"{progress:.0f} %  {message or ''}", style="dim", highlight=False)


def read_arguments(words: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call: text as it stands where the tool takes text, JSON otherwise.

    Raises InvalidRequest.
    """
    known, given = schema.get("properties", {}), dict[str, Any]()
    for word in map(whole_text, words):
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidRequest(f"{word!r} is not name=value; arguments are {', '.join(known)}")
        kinds = [one.get("type") for one in known.get(name, {}).get("anyOf", [known.get(name, {})])]
        try:
            given[name] = value if "string" in kinds else whole_value(json.loads(value))
        except ValueError:
            given[name] = value  # the tool says what it takes instead
    return given
