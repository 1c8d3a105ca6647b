"""The engine's memory over many descriptions and transcriptions of varied sizes: flat after warm-up."""

import os
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest import mock

import psutil
from mcp import Client

from adapters.starter.recipes.vision.scenes import draw_scene
from tests.benchmarks.measure import Measured
from tests.benchmarks.recordings import speech
from tests.running import Home, answer
from tests.sounds import wav

_CALLS = 200
_ROUND = 40


async def measure(home: Home) -> list[Measured]:
    # A cache of prompts that is full early: until it is, memory grows as it should.
    small = mock.patch.dict(os.environ, {"MCP_SERVER_MLX_PROMPT_CACHE_GB": "0.001"})
    with tempfile.TemporaryDirectory() as name, small:
        folder = Path(name)
        async with home.client("--allow", name) as client:
            # Every round has the same sizes, of other pictures: like is compared with like.
            async def describe(i: int) -> None:
                chance = random.Random(i % _ROUND)
                picture = draw_scene(random.Random(i)).image
                side = chance.randint(60, 1500)
                picture.resize((side, chance.randint(60, 1500))).save(folder / "picture.png")
                await _done(client, "describe-image", {"images": [str(folder / "picture.png")], "seed": i})

            async def hear(i: int) -> None:
                length = random.Random(i % _ROUND).uniform(1, 6)
                (folder / "sound.wav").write_bytes(wav(speech(length, seed=i)[0]))
                await _done(client, "transcribe", {"audio": str(folder / "sound.wav")})

            pictures = await _over(home, describe)
            sounds = await _over(home, hear)
    return [_measured("descriptions", pictures), _measured("transcriptions", sounds)]


async def _done(client: Client, tool: str, arguments: dict[str, object]) -> None:
    told = answer(await client.call_tool(tool, arguments))
    while told["state"] != "done":
        told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))


async def _over(home: Home, call: Callable[[int], Awaitable[None]]) -> list[int]:
    """The engine's memory after each call, in bytes."""
    held = []
    for i in range(_CALLS):
        await call(i)
        held.append(_engine(home).memory_info().rss)
    return held


def _engine(home: Home) -> psutil.Process:
    (engine,) = home.engines()
    return engine


def _measured(what: str, held: list[int]) -> Measured:
    early, late = max(held[_ROUND : 2 * _ROUND]), max(held[-_ROUND:])
    return Measured(
        f"the engine's memory over {_CALLS} {what} of varied sizes: at the end against after {2 * _ROUND}",
        f"{late / 1e6:.0f} against {early / 1e6:.0f} MB",
        "at most 5 % more",
        late <= 1.05 * early,
    )
