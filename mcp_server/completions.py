"""What a person may type for the argument of a resource or prompt: names that there are on this machine."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp.types import Completion, CompletionArgument, PromptReference, ResourceTemplateReference

from adapters.lora import trained_adapters as library
from adapters.models.names import known_names
from adapters.recordings import store
from mcp_server.connection import CURRENT

if TYPE_CHECKING:
    from mcp.server import MCPServer

# The most that the protocol lets an answer hold.
_MOST = 100
FORMATS = ("text", "srt", "vtt", "json")


# What each argument names, for the resource templates and for the prompts.
_RESOURCES: dict[tuple[str, str], Callable[[], list[str]]] = {
    ("adapter://{name}", "name"): library.names,
    ("session://{id}", "id"): store.names,
}
_PROMPTS: dict[str, Callable[[], list[str]]] = {
    "adapter": library.names,
    "session": store.names,
    "model": known_names,
    "format": lambda: list(FORMATS),
}


def fitting(names: list[str], typed: str) -> Completion:
    """Return the names that begin with what was typed, then those that hold it."""
    wanted = typed.casefold()
    begin = [name for name in names if name.casefold().startswith(wanted)]
    hold = [name for name in names if wanted in name.casefold() and name not in begin]
    found = [*begin, *hold]
    return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)


def add_completions(server: "MCPServer[Any]") -> None:
    """Answer `completion/complete` for the resource templates and the prompts."""

    @server.completion()
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: object
    ) -> Completion | None:
        del context
        if isinstance(ref, ResourceTemplateReference) and (ref.uri, argument.name) == ("job://{id}", "id"):
            return fitting(await CURRENT.get().engine.job_ids(), argument.value)
        if isinstance(ref, ResourceTemplateReference):
            names = _RESOURCES.get((ref.uri, argument.name))
        else:
            names = _PROMPTS.get(argument.name)
        return fitting(await asyncio.to_thread(names), argument.value) if names else None
