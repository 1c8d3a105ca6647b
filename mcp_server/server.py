"""The MCP server that a client talks to: its tools, its instructions, and errors that say what to do next."""

import asyncio
import difflib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    Resource,
    SubscribeRequestParams,
    TextContent,
    UnsubscribeRequestParams,
)
from pydantic import ValidationError

from adapters import __version__
from adapters.errors import InvalidRequest, ServerError
from adapters.protocol.surrogates import whole_text, whole_value
from adapters.settings import Settings
from mcp_server.completions import add_completions
from mcp_server.connection import current_connection
from mcp_server.notices import NOTICES
from mcp_server.prompts import add_prompts
from mcp_server.resources import add_resources, library_resources
from mcp_server.tools import ALL_TOOLS, ToolDefinition
from mcp_server.ways_out import for_client, shortened

NAME = "mcp-server-mlx"
TITLE = "MLX on this machine"
INSTRUCTIONS = """\
Local models on the user's own machine: nothing that is passed to these tools leaves it. Use them for private or cheap \
work. `generate` answers text prompts, many at once if asked with `prompts`; `describe-image` answers questions about \
pictures and videos; `transcribe` writes down speech, as text or subtitles. Files go in by absolute path, within the \
folders that the user granted. Every call answers within its deadline: when the work takes longer, the answer has \
`state` other than `done` and a `job` id; call `check-job` with it, and `wait_seconds`, until the state is `done`. \
`record-session` keeps conversations to learn from, `train-adapter` trains an adapter on them, and `generate` answers \
with it by its name. `list-library` shows the models, adapters, sessions and jobs on this machine. Models are named by alias \
(`default`), by hub id, or by absolute folder. The models `starter`, `starter-vision` and `starter-speech` are tiny \
demonstration models: very simple instructions, plain coloured shapes, short spoken commands."""

_LASTING = CacheHint(ttl_ms=3_600_000, scope="public")
_LISTS: tuple[CacheableMethod, ...] = ("server/discover", "tools/list", "prompts/list", "resources/templates/list")
_CHANGING = CacheHint(ttl_ms=2_000, scope="private")


class Server(MCPServer[Any]):
    """An `MCPServer` whose errors are for reading: short, without a prefix, unknown tools as the protocol says."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None) -> Any:
        tool = next((tool for tool in await self.list_tools() if tool.name == name), None)
        if tool is None:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {shortened(name, 200)}")
        try:
            return _whole(await super().call_tool(name, arguments, context))
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, ServerError):
                raise ToolError(whole_text(for_client(error.__cause__))) from error.__cause__
            raise
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(
                    whole_text(f"{name}: {describe(cause, list(tool.input_schema['properties']))}")
                ) from cause
            text = for_client(cause) if isinstance(cause, ToolError | ServerError) else shortened(str(error))
            raise ToolError(whole_text(text)) from cause

    async def list_resources(self) -> list[Resource]:
        """Return the library's models, and each adapter and session that there is now."""
        return [*await super().list_resources(), *await asyncio.to_thread(library_resources)]


def _whole(result: Any) -> Any:
    """Return the result of a tool with U+FFFD for lone surrogates, such as those of a file's name that is no UTF-8."""
    if not isinstance(result, CallToolResult):
        return result
    content = [
        one.model_copy(update={"text": whole_text(one.text)}) if isinstance(one, TextContent) else one
        for one in result.content
    ]
    structured = whole_value(result.structured_content)
    return result.model_copy(update={"content": content, "structured_content": structured})


def describe(error: ValidationError, known: Sequence[str]) -> str:
    """Return what is wrong with arguments, each by its name and the value that was given. `known` are the tool's own."""
    lines = []
    for problem in error.errors(include_url=False)[:8]:
        where = shortened(".".join(map(str, problem["loc"])) or "arguments", 80)
        given = repr(problem["input"])
        shown = f" (given {given[:80]}{'…' if len(given) > 80 else ''})" if problem["type"] != "missing" else ""
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(where, known, n=1)
            way_out = f"did you mean {close[0]}?" if close else "leave it out"
            lines.append(f"{where} is not an argument of this tool{shown}; {way_out}")
        elif problem["type"] == "list_type":
            lines.append(f"{where} is no list{shown}; write it in brackets, as a JSON list")
        else:
            lines.append(f"{where}: {shortened(problem['msg'].removeprefix('Value error, '), 500)}{shown}")
    return shortened("; ".join(lines))


def make_server(settings: Settings) -> Server:
    """Return the server for a client with these settings. Clients with the same choice of tools share one.

    Raises InvalidRequest when the settings ask for a tool that does not exist.
    """
    return _make_server(settings.read_only, settings.tools)


def selected_tools(read_only: bool, names: tuple[str, ...]) -> list[ToolDefinition]:
    """Return the tools to offer. Raises InvalidRequest for a name that is none."""
    known = [definition.name for definition in ALL_TOOLS]
    if unknown := [name for name in names if name not in known]:
        raise InvalidRequest(f"there is no tool {unknown[0]!r}; tools are {', '.join(known)}")
    chosen = [definition for definition in ALL_TOOLS if not names or definition.name in names]
    return [definition for definition in chosen if not (read_only and definition.changes)]


@lru_cache(maxsize=32)
def _make_server(read_only: bool, names: tuple[str, ...]) -> Server:
    selected = selected_tools(read_only, names)
    server = Server(
        NAME,
        title=TITLE,
        version=__version__,
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        tools=[_tool(definition) for definition in selected],
        cache_hints={**dict.fromkeys(_LISTS, _LASTING), "resources/list": _CHANGING},
        lifespan=current_connection,
        subscriptions=NOTICES.bus,
        middleware=[NOTICES.remember],
    )
    add_resources(server)
    add_prompts(server, {definition.name for definition in selected})
    add_completions(server)
    _tell_of_changes(server)
    return server


def _tell_of_changes(server: Server) -> None:
    """Have clients of the handshake era told of changes, too: the SDK serves those of the modern one by itself."""
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, NOTICES.subscribe)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, NOTICES.unsubscribe)
    told = NotificationOptions(resources_changed=True)
    offered = partial(lowlevel.create_initialization_options, told)
    lowlevel.create_initialization_options = offered  # pyright: ignore[reportAttributeAccessIssue]


def _tool(definition: ToolDefinition) -> Tool:
    """Return the tool as the SDK calls it. Its arguments are flat for the client, and one object for its function."""
    arguments = definition.arguments
    schema = arguments.model_json_schema(by_alias=True) | {"title": f"{definition.function.__name__}Arguments"}
    schema.pop("description", None)  # the tool has its own
    return Tool(
        fn=definition.function,
        name=definition.name,
        title=definition.title,
        description=definition.description,
        parameters=schema,
        fn_metadata=FuncMetadata(arg_model=arguments, output_model=definition.answer),
        is_async=True,
        context_kwarg="ctx",
        annotations=definition.annotations,
    )
