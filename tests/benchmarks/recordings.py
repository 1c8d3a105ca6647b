"""`transcribe` on ten minutes of speech against mlx_audio's own `generate` on the same model and file, and its memory."""

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from mlx_audio.stt.utils import load_model

from adapters.models.names import STARTERS
from tests.benchmarks.measure import Measured
from tests.running import Home, answer
from tests.sounds import held_out, silence, wav

_SECONDS = 600


def speech(seconds: float, seed: int = 1) -> np.ndarray:
    """Held-out commands one after another, with pauses as between sentences."""
    chance, parts, length = random.Random(seed), list[np.ndarray](), 0.0
    while length < seconds:
        parts += [chance.choice(held_out()).samples, silence(chance.uniform(0.3, 0.9))]
        length += (len(parts[-1]) + len(parts[-2])) / 16_000
    return np.concatenate(parts)


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "talk.wav"
        path.write_bytes(wav(speech(_SECONDS)))
        model: Any = load_model(STARTERS["starter-speech"])
        model.generate(str(path), clip_timestamps=[0, 5])
        async with home.client("--allow", name) as client:
            short = Path(name) / "short.wav"
            short.write_bytes(wav(speech(5)))
            answer(await client.call_tool("transcribe", {"audio": str(short)}))
            engine = home.engines()[0]
            held: list[int] = []

            async def watch() -> None:
                while True:
                    held.append(engine.memory_info().rss)
                    await anyio.sleep(0.5)

            told: dict[str, Any] = {}
            began = time.perf_counter()
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                told = answer(await client.call_tool("transcribe", {"audio": str(path)}))
                while told["state"] != "done":
                    told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 40}))
                group.cancel_scope.cancel()
            ours = time.perf_counter() - began
        began = time.perf_counter()
        theirs_text = model.generate(str(path)).text
        theirs = time.perf_counter() - began
    # The first tenth is warm-up: buffers for the longest window are made then.
    steady = held[len(held) // 10 :]
    growth = _growth(steady)
    return [
        Measured(
            f"transcribe, {_SECONDS // 60} minutes of speech: speed against mlx_audio's generate",
            f"{_SECONDS / ours:.1f} against {_SECONDS / theirs:.1f} times real time: {theirs / ours:.2f} of it"
            f" ({len(told['text'].split())} and {len(theirs_text.split())} words)",
            "at least 0.95",
            theirs / ours >= 0.95,
        ),
        Measured(
            "the engine's memory while it listens: last third against first third",
            f"{growth / 1e6:+.1f} MB of {steady[-1] / 1e6:.0f}",
            "at most 5 %",
            growth <= 0.05 * steady[0],
        ),
    ]


def _growth(samples: list[int]) -> float:
    third = max(1, len(samples) // 3)
    return float(np.median(samples[-third:]) - np.median(samples[:third]))
