"""What a tool consists of, apart from its function's own signature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.types import ToolAnnotations


@dataclass(frozen=True)
class ToolDefinition:
    """A tool as it is registered. The description has under 2,000 characters, key facts first: clients cut the rest."""

    name: str
    title: str
    description: str
    function: Callable[..., Any]
    annotations: ToolAnnotations


def hints(*, read_only: bool, destructive: bool, idempotent: bool, open_world: bool) -> ToolAnnotations:
    """All four hints, always: what is left out counts as the worst case."""
    return ToolAnnotations(
        read_only_hint=read_only, destructive_hint=destructive, idempotent_hint=idempotent, open_world_hint=open_world
    )
