"""A Strands agent's stream against `stream_generate`; several at once; the event loop's longest stall; the second turn."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from mlx_lm import stream_generate

from adapters.strands import MLXModel
from tests.benchmarks.measure import Measured, awaited, median, ms
from tests.benchmarks.models import slow_model
from tests.running import Home

_TOKENS, _ROUNDS = 60, 3
_TICK = 0.002
_STORY = "Tell me a story about a lion."


async def measure(home: Home) -> list[Measured]:
    environment = {"MCP_SERVER_MLX_HOME": str(home.folder), "OTEL_SDK_DISABLED": "true"}
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ, environment):
        folder, model, tokenizer, _ = slow_model(Path(name))
        await _ask(folder, "warm", 2)
        streams, alone, stalls = list[float](), list[float](), list[float]()
        for number in range(_ROUNDS):
            alone.append(await asyncio.to_thread(_by_mlx_lm, model, tokenizer))
            stall, speed = await _watched(folder, f"{number}")
            streams.append(speed)
            stalls.append(stall)
        together, in_turn = list[float](), list[float]()
        for number in range(2):
            prompts = [f"{number}{i} {_STORY}" for i in range(4)]
            together.append(
                await awaited(lambda p=prompts: asyncio.gather(*(_ask(folder, f"t{one}", 40) for one in p)))
            )
            in_turn.append(await awaited(lambda p=prompts: _in_turn(folder, p)))
        first, second = await _two_turns(folder)
    ratio = median(streams) / median(alone)
    return [
        Measured(
            "a Strands agent's stream: tokens per second against stream_generate",
            f"{median(streams):.1f} against {median(alone):.1f}: {ratio:.2f} of it",
            "at least 0.90",
            ratio >= 0.9,
        ),
        Measured("the event loop's longest stall during it", ms(max(stalls)), "at most 50 ms", max(stalls) <= 0.05),
        Measured(
            "4 agents at once against one after another",
            f"{median(in_turn) / median(together):.2f} x as fast",
            "faster",
            median(together) < median(in_turn),
        ),
        Measured(
            "first token of the second turn of a long conversation against the first",
            f"{ms(second)} against {ms(first)}: {first / second:.1f} x as fast",
            "faster",
            second < first,
        ),
    ]


async def _stream(folder: Path, prompt: str | list[Any], tokens: int) -> tuple[float, float, str]:
    """Seconds to the first token, tokens a second after it, and what was written."""
    provider = MLXModel(str(folder), params={"max_tokens": tokens})
    messages: Any = [_said("user", prompt)] if isinstance(prompt, str) else prompt
    began, first, usage, text = time.perf_counter(), 0.0, {}, ""
    async for event in provider.stream(messages):
        if "contentBlockDelta" in event:
            first = first or time.perf_counter()
            delta: Any = event["contentBlockDelta"]
            text += delta["delta"].get("text", "")
        usage = event.get("metadata", {}).get("usage", usage)
    ended = time.perf_counter()
    first = first or ended
    return first - began, (usage["outputTokens"] - 1) / max(ended - first, 1e-9), text


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}


async def _ask(folder: Path, prompt: str, tokens: int) -> None:
    await _stream(folder, prompt, tokens)


async def _in_turn(folder: Path, prompts: list[str]) -> None:
    for prompt in prompts:
        await _ask(folder, f"i{prompt}", 40)


async def _watched(folder: Path, salt: str) -> tuple[float, float]:
    """The longest time between two ticks of the loop beyond the tick, and the stream's speed."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            longest = max(longest, time.perf_counter() - before - _TICK)

    ticking = asyncio.create_task(tick())
    try:
        _, speed, _ = await _stream(folder, f"{salt} {_STORY}", _TOKENS)
    finally:
        ticking.cancel()
    return longest, speed


def _by_mlx_lm(model: Any, tokenizer: Any) -> float:
    messages = [{"role": "user", "content": _STORY}]
    tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False)
    times = [time.perf_counter() for _ in stream_generate(model, tokenizer, tokens, max_tokens=_TOKENS)]
    return (len(times) - 1) / (times[-1] - times[0])


async def _two_turns(folder: Path) -> tuple[float, float]:
    """Seconds to the first token of a long conversation's first and second turn."""
    long = "lion frog owl cat dog cow duck pig " * 60
    first, _, answer = await _stream(folder, f"{long} {_STORY}", 4)
    conversation = [_said("user", f"{long} {_STORY}"), _said("assistant", answer or "-"), _said("user", "And another.")]
    second, _, _ = await _stream(folder, conversation, 4)
    return first, second
