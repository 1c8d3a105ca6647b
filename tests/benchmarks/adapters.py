"""Adapters in one batch against the base alone; the first answer with another adapter against `mlx_lm.server`."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path

from mcp import Client

from adapters.lora import trained_adapters as library
from tests.benchmarks.batches import mlx_lm_server
from tests.benchmarks.measure import Measured, awaited, median, ms
from tests.benchmarks.models import slow_model
from tests.running import Home, answer
from tests.tiny_adapters import random_adapter

_ADAPTERS, _TOKENS, _ROUNDS = 7, 40, 3


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder, _, _, _ = slow_model(Path(name))
        made = [random_adapter(Path(name) / f"a{i}", folder, seed=i, rank=16, size=0.02) for i in range(_ADAPTERS)]
        with home.entered():
            for i, one in enumerate(made[:-1]):
                library.install(Path(shutil.copytree(one, home.folder / f"draft{i}")), f"a{i}")
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(home.client("--allow", name)) for _ in range(8)]
            chosen = [None, *(str(one) for one in made)]
            await _together(clients, folder, chosen, "warm")
            base, mixed = [], []
            for number in range(_ROUNDS):
                base.append(await awaited(lambda n=number: _together(clients, folder, [None] * 8, f"b{n}")))
                mixed.append(await awaited(lambda n=number: _together(clients, folder, chosen, f"m{n}")))
            # Each of these is an adapter that the engine has not loaded: another name, the same files are known by content.
            fresh = [random_adapter(Path(name) / f"f{i}", folder, seed=50 + i, rank=16) for i in range(_ROUNDS)]
            switch = [await awaited(lambda one=one: _ask(clients[0], folder, str(one), "s", 1)) for one in fresh]
            plain = [await awaited(lambda n=n: _ask(clients[0], folder, None, f"p{n}", 1)) for n in range(_ROUNDS)]
        with mlx_lm_server(None, home.environment) as address:
            _complete(address, folder, made[0])
            theirs = [await asyncio.to_thread(_timed, address, folder, one) for one in fresh]
    tokens = 8 * _TOKENS
    alone, together = tokens / median(base), tokens / median(mixed)
    return [
        Measured(
            "8 rows, the base and 7 adapters, against 8 rows of the base: tokens per second",
            f"{together:.1f} against {alone:.1f}: {together / alone:.2f} of it",
            "at least 0.75",
            together / alone >= 0.75,
        ),
        Measured(
            "first answer (one token) with an adapter not used before, against mlx_lm.server",
            f"{ms(median(switch))} (of it {ms(max(0.0, median(switch) - median(plain)))} more than the base takes)"
            f" against {ms(median(theirs))}: {median(theirs) / median(switch):.1f} x as fast",
            "faster",
            median(switch) < median(theirs),
        ),
    ]


async def _together(clients: list[Client], folder: Path, adapters: list[str | None], salt: str) -> None:
    asked = (_ask(c, folder, a, f"{salt}{i}", _TOKENS) for i, (c, a) in enumerate(zip(clients, adapters, strict=True)))
    await asyncio.gather(*asked)


async def _ask(client: Client, folder: Path, adapter: str | None, salt: str, tokens: int) -> None:
    arguments = {"prompt": f"{salt} Tell me a story about a lion.", "model": str(folder), "max_tokens": tokens}
    told = answer(await client.call_tool("generate", arguments | ({"adapter": adapter} if adapter else {})))
    assert told["usage"]["completion_tokens"] == tokens


def _timed(address: str, folder: Path, adapter: Path) -> float:
    started = time.perf_counter()
    _complete(address, folder, adapter)
    return time.perf_counter() - started


def _complete(address: str, folder: Path, adapter: Path) -> None:
    body = {
        "model": str(folder),
        "adapters": str(adapter),
        "messages": [{"role": "user", "content": "s Tell me a story about a lion."}],
        "max_tokens": 1,
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        response.read()
