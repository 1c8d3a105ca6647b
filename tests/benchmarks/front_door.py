"""A newcomer's first minute, a host with a hundred idle clients, and how much of the conformance suite passes."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from mcp import Client

from tests.benchmarks.measure import Measured, awaited, median, ms
from tests.conformance.test_conformance import REQUIRED, conformance_server
from tests.running import Home, answer

ROOT = Path(__file__).parents[2]
_IDLE = 100
_ROUNDS = 20
_FIRST_ANSWER = "blue green red"
_ASKED = {"prompt": "Reverse the words: red green blue"}


async def measure(home: Home) -> list[Measured]:
    return [_first_minute(home), *await _idle_clients(home), *_conformance(home)]


def _first_minute(home: Home) -> Measured:
    """From a clean checkout, through `make demo`, to the first answer that it shows."""
    checkout = home.folder / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    began = time.perf_counter()
    environment = {name: value for name, value in home.environment.items() if name != "VIRTUAL_ENV"}
    with subprocess.Popen(
        ["make", "demo"], cwd=checkout, env=environment | {"COLUMNS": "200"}, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        found = any(_FIRST_ANSWER in line for line in demo.stdout)
        took = time.perf_counter() - began
        with contextlib.suppress(ProcessLookupError):
            os.killpg(demo.pid, 9)
    home.stop()
    shutil.rmtree(checkout)
    assert found, "the demo gave no first answer"
    return Measured("clean checkout to the first answer", f"{took:.0f} s, 1 command", "a minute, 1 command", took <= 60)


async def _idle_clients(home: Home) -> list[Measured]:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(home.client())
        await first.call_tool("generate", _ASKED)
        (host,) = home.hosts()
        alone, before = await _times(first), host.memory_full_info().uss
        for _ in range(_IDLE):
            client = await stack.enter_async_context(home.client())
            await client.list_tools()
        among, after = await _times(first), host.memory_full_info().uss
    return [
        Measured("the host's memory with 100 idle clients", f"{before / 1e6:.0f} MB, then {after / 1e6:.0f} MB"),
        Measured(
            "a call's time with 100 idle clients",
            f"{ms(alone)} alone, {ms(among)} among them, {among / alone:.2f} x",
            "at most 1.25 x",
            among <= 1.25 * alone,
        ),
    ]


async def _times(client: Client) -> float:
    async def ask() -> None:
        answer(await client.call_tool("generate", _ASKED))

    return median([await awaited(ask) for _ in range(_ROUNDS)])


def _conformance(home: Home) -> list[Measured]:
    rows = list[Measured]()
    for revision, required in REQUIRED.items():
        with conformance_server(home) as suite:
            passed, _ = suite(revision)
        figure = f"{len(passed)} scenarios, {sum(passed.values())} checks"
        rows.append(Measured(f"conformance, {revision}", figure, f"{required} scenarios", len(passed) == required))
    return rows
