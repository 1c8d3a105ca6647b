"""Calls that are followed to their end: on the CPU a real model takes longer than a client waits."""

from typing import Any

from mcp import Client

from tests.running import answer

# More than this, in calls of 40 seconds each, and the test fails.
MOST_LOOKS = 15


async def finished(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the structured answer of a call when its job is done."""
    told = answer(await client.call_tool(tool, arguments))
    for _ in range(MOST_LOOKS):
        if told["state"] not in ("queued", "running"):
            break
        told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))
    assert told["state"] == "done", told
    return told


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    """Return what `generate` answers."""
    return await finished(client, "generate", **arguments)
