"""From a client's cancel to its row leaving the batch."""

import time

import anyio

from tests.benchmarks.measure import Measured, median, ms
from tests.running import Home

_ROUNDS = 7
_LONG = {
    "prompt": "Count from 1 to 20.",
    "json_schema": {"type": "array", "items": {"type": "integer", "minimum": 10, "maximum": 99}, "minItems": 600},
    "max_tokens": 2000,
}


async def measure(home: Home) -> list[Measured]:
    times = []
    async with home.client() as client, home.engine() as engine:

        async def rows() -> int:
            return sum(model.rows for model in (await engine.status()).models)

        for _ in range(_ROUNDS):
            started = 0.0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "generate", _LONG)
                while not await rows():
                    await anyio.sleep(0.005)
                await anyio.sleep(0.2)
                started = time.perf_counter()
                tasks.cancel_scope.cancel()
            while await rows():
                pass
            times.append(time.perf_counter() - started)
    return [
        Measured(
            "a client's cancel to the row's leaving, looking included",
            f"{ms(median(times))}, at worst {ms(max(times))}",
        )
    ]
