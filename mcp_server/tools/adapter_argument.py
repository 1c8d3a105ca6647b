"""The argument `adapter` of the tools whose answers a model writes."""

from pydantic import Field

from mcp_server.tools.definition import Arguments


class AdapterArgument(Arguments):
    adapter: str | None = Field(
        default=None,
        description="A trained adapter to answer with: its name (list-library shows them), a hub id, or an absolute folder. `model` may be left out: it is then the adapter's own.",
    )
