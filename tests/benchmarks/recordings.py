"""`transcribe` on ten minutes of speech against mlx_audio's own `generate` on the same model and file, and its memory."""

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import mlx.core as mx
import numpy as np
from mlx_audio.stt.utils import load_model

from adapters.media.sound import probe, samples
from adapters.media.windows import windows
from adapters.models.starters import STARTERS
from tests.benchmarks.measure import Measured
from tests.running import Home, answer
from tests.sounds import held_out, silence, wav

_SECONDS = 600


def speech(seconds: float, seed: int = 1) -> tuple[np.ndarray, str]:
    """Held-out commands one after another, with pauses as between sentences; and what they say."""
    known = [one for one in held_out() if one.kind != "new synthesiser"]
    chance, parts, said, length = random.Random(seed), list[np.ndarray](), list[str](), 0.0
    while length < seconds:
        one = chance.choice(known)
        parts += [one.samples, silence(chance.uniform(0.3, 0.9))]
        said.append(one.text)
        length += (len(parts[-1]) + len(parts[-2])) / 16_000
    return np.concatenate(parts), " ".join(said)


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "talk.wav"
        sound, spoken = speech(_SECONDS)
        path.write_bytes(wav(sound))
        model: Any = load_model(STARTERS["starter-speech"])
        model.generate(str(path), clip_timestamps=[0, 5])
        async with home.client("--allow", name) as client:
            short = Path(name) / "short.wav"
            short.write_bytes(wav(speech(5)[0]))
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
        cut = [window for window in windows(samples(probe(path)), 15.0) if not window.silent]
        began = time.perf_counter()
        same = [model.generate(mx.array(window.samples), condition_on_previous_text=False).text for window in cut]
        theirs = time.perf_counter() - began
        began = time.perf_counter()
        alike_text = model.generate(str(path), condition_on_previous_text=False).text
        alike = time.perf_counter() - began
        began = time.perf_counter()
        whole_text = model.generate(str(path)).text
        whole = time.perf_counter() - began
    # The first tenth is warm-up: buffers for the longest window are made then.
    steady = held[len(held) // 10 :]
    growth = _growth(steady)
    return [
        Measured(
            f"transcribe, {_SECONDS // 60} minutes of speech: speed against mlx_audio's generate, same file and options",
            f"{_SECONDS / ours:.1f} against {_SECONDS / alike:.1f} times real time: {alike / ours:.2f} of it"
            f" ({_words(told['text'])} and {_words(alike_text)} words heard of {_words(spoken)})",
            "at least 0.95",
            alike / ours >= 0.95,
        ),
        Measured(
            "the same against its generate on the same windows, one by one",
            f"{_SECONDS / ours:.1f} against {_SECONDS / theirs:.1f} times real time: {theirs / ours:.2f} of it"
            f" ({_words(told['text'])} and {_words(' '.join(same))} words)",
            "at least 0.95",
            theirs / ours >= 0.95,
        ),
        Measured(
            "the same against its generate as it is by default: conditioned on its own text, it loses most words",
            f"{_SECONDS / whole:.1f} times real time: {whole / ours:.2f} of it"
            f" ({_words(whole_text)} of {_words(spoken)} words heard, ours {_words(told['text'])})",
        ),
        Measured(
            "the engine's memory while it listens: last third against first third",
            f"{growth / 1e6:+.1f} MB of {steady[-1] / 1e6:.0f}",
            "at most 5 %",
            growth <= 0.05 * steady[0],
        ),
    ]


def _words(text: str) -> int:
    return len(text.split())


def _growth(samples: list[int]) -> float:
    third = max(1, len(samples) // 3)
    return float(np.median(samples[-third:]) - np.median(samples[:third]))
