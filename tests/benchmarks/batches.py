"""Eight clients at once, against one after another and against `mlx_lm.server` on the same model and requests."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mcp import Client

from tests.benchmarks.measure import Measured, awaited, median, seconds
from tests.benchmarks.models import slow_model
from tests.running import Home, answer

_CLIENTS, _TOKENS, _ROUNDS = 8, 40, 3
_PROMPTS = [
    f"Tell me a story about a {animal} named {name}."
    for animal, name in zip(
        ["lion", "frog", "owl", "cat", "dog", "cow", "duck", "pig"],
        ["Tom", "Lucy", "Max", "Mia", "Leo", "Nina", "Sam", "Ella"],
        strict=True,
    )
]


@contextlib.contextmanager
def mlx_lm_server(folder: Path | None, environment: dict[str, str]) -> Iterator[str]:
    """The installed mlx_lm.server on this model, or on whichever is asked for; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import adapters.mlx, sys; from mlx_lm.server import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        *(["--model", str(folder)] if folder else []),
        "--port",
        str(port),
        "--decode-concurrency",
        "16",
        "--prompt-concurrency",
        "8",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
        yield address
    finally:
        process.terminate()
        process.wait(20)


def complete(address: str, prompt: str, model: str, salt: str) -> int:
    """One request; gives the tokens written. The salt keeps its prompt cache from having read the prompt."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"{salt} {prompt}"}],
        "max_tokens": _TOKENS,
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read())["usage"]["completion_tokens"]


async def ask(client: Client, prompt: str, model: str, salt: str) -> int:
    told: dict[str, Any] = answer(
        await client.call_tool("generate", {"prompt": f"{salt} {prompt}", "model": model, "max_tokens": _TOKENS})
    )
    return told["usage"]["completion_tokens"]


async def measure(home: Home) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder, _, _, _ = slow_model(Path(name))
        model = str(folder)
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(home.client("--allow", name)) for _ in range(_CLIENTS)]
            await ask(clients[0], "x", model, "warm")

            async def together(salt: str) -> None:
                counts = await asyncio.gather(*(ask(c, p, model, salt) for c, p in zip(clients, _PROMPTS, strict=True)))
                assert counts == [_TOKENS] * _CLIENTS

            async def in_turn(salt: str) -> None:
                for client, prompt in zip(clients, _PROMPTS, strict=True):
                    assert await ask(client, prompt, model, salt) == _TOKENS

            with mlx_lm_server(folder, home.environment) as address, ThreadPoolExecutor(_CLIENTS) as pool:
                complete(address, "x", model, "warm")

                def server_together(salt: str) -> None:
                    counts = list(pool.map(lambda prompt: complete(address, prompt, model, salt), _PROMPTS))
                    assert counts == [_TOKENS] * _CLIENTS

                ours, theirs = [], []
                for number in range(_ROUNDS):
                    ours.append(await awaited(lambda n=number: together(f"a{n}")))
                    theirs.append(await asyncio.to_thread(seconds, lambda n=number: server_together(f"b{n}")))
            turns = [await awaited(lambda n=number: in_turn(f"c{n}")) for number in range(2)]
    tokens = _CLIENTS * _TOKENS
    at_once, server, one_by_one = tokens / median(ours), tokens / median(theirs), tokens / median(turns)
    return [
        Measured(
            "8 clients at once against one after another, tokens per second together",
            f"{at_once:.1f} against {one_by_one:.1f}: {at_once / one_by_one:.2f} x",
        ),
        Measured(
            "8 clients at once against mlx_lm.server",
            f"{at_once:.1f} against {server:.1f}: {at_once / server:.2f} x",
            "at least 1.00 x",
            at_once >= server,
        ),
    ]
