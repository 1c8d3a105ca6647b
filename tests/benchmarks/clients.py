"""What a further client costs in memory, in all processes together."""

import contextlib

import psutil

from tests.benchmarks.measure import Measured
from tests.running import Home, answer

_LIMIT = 15 << 20


def _own_memory(home: Home) -> int:
    """Bytes that are each process's own, of shims, host and engine."""
    total = 0
    shims = [child for child in psutil.Process().children() if "mcp_server" in " ".join(child.cmdline())]
    for process in [*shims, *home.hosts(), *home.engines()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().uss
    return total


async def measure(home: Home) -> list[Measured]:
    async with contextlib.AsyncExitStack() as stack:
        costs: list[int] = []
        before = 0
        for _ in range(10):
            client = await stack.enter_async_context(home.client())
            await client.list_tools()
            answer(await client.call_tool("generate", {"prompt": "Reverse the words: red green blue"}))
            now = _own_memory(home)
            costs.append(now - before)
            before = now
        engines = home.engines()
        async with home.engine() as engine:
            copies = len((await engine.status()).models)
    worst = max(costs[1:])
    return [
        Measured("first client, with host, engine and MLX", f"{costs[0] / 1e6:.0f} MB"),
        Measured(
            "second, third, tenth client",
            ", ".join(f"{costs[i] / 1e6:.1f}" for i in (1, 2, 9)) + " MB",
            "at most 15 MB each",
            worst <= _LIMIT,
        ),
        Measured(
            "engines, copies of the weights", f"{len(engines)}, {copies}", "1, 1", (len(engines), copies) == (1, 1)
        ),
    ]
