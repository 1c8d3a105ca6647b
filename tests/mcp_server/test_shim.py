"""The shim: options, reconnection, and a wire that carries nothing but protocol."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from adapters import __version__
from adapters.sockets import socket_path
from mcp_server.options import OptionError, hello, read_options
from tests.mcp_server.wire import Wire, wired
from tests.running import ERAS, Era, Home, answer, kill, text, until

pytestmark = pytest.mark.anyio

MANY = {"prompts": ["Count from 1 to 20."] * 128}


@pytest.fixture
def wire(shared_home: Home) -> Iterator[Wire]:
    with wired(shared_home) as wire:
        yield wire


# --- options


def test_flags_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_options(["--allow", "/a", "--allow=/b", "--read-only", "--reply-within", "9", "--tools=generate"])
    assert read == {"allow": ["/a", "/b"], "read_only": True, "reply_within": "9", "tools": "generate"}


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_MLX_REPLY_WITHIN", "20")
    monkeypatch.setenv("MCP_SERVER_MLX_MODEL", "m")
    assert read_options(["--reply-within", "9"]) == {"reply_within": "9", "model": "m"}


def test_a_relative_folder_is_the_shims_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_options(["--allow", "notes"]) == {"allow": [f"{os.getcwd()}/notes"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alow", "/a"], ["notes"], ["allow", "/a"], ["--allow"], ["-x"],
        # An empty folder would be the working directory, and an empty model would take the next word for its name.
        ["--allow", ""], ["--allow="], ["--model=", "--offline"], ["--read-only=no"],
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(arguments: list[str]) -> None:
    with pytest.raises(OptionError, match=arguments[0].partition("=")[0]):
        read_options(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alow", "/a"], "unknown option '--alow'"),
        (["--reply-within", "0"], "reply_within"),
        (["--tools", "sing"], "no tool 'sing'"),
    ],
)
def test_a_wrong_option_ends_with_code_2_and_a_line_on_stderr(
    shared_home: Home, arguments: list[str], message: str
) -> None:
    process = shared_home.spawn(*arguments)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, b"")
    assert message in error.decode()


# --- the wire


def test_nothing_but_protocol_reaches_stdout(wire: Wire) -> None:
    wire.start()
    calls = [
        {"name": "generate", "arguments": {"prompt": "Hello"}},
        {"name": "generate", "arguments": {"prompt": ""}},
        {"name": "list-library", "arguments": {}},
        {"name": "nonsense", "arguments": {}},
    ]
    for number, call in enumerate(calls, 1):
        wire.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
    received = [wire.receive() for _ in calls]
    assert {message["id"] for message in received} == {1, 2, 3, 4}
    assert wire.process.stdin is not None
    wire.process.stdin.close()
    assert wire.process.stdout is not None
    assert wire.process.stdout.read() == b""
    assert wire.process.wait(10) == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in wire.lines)


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"{not json}\n", -32700), (b'{"jsonrpc": "2.0"}\n', -32600), (b"[]\n", -32600), (b"\xff\xfe\n", -32700)],
)
def test_a_line_that_is_no_message_is_answered_and_the_session_goes_on(wire: Wire, line: bytes, code: int) -> None:
    wire.start()
    wire.send(line)
    refused = wire.receive()
    assert (refused["id"], refused["error"]["code"]) == (None, code)
    wire.send({"jsonrpc": "2.0", "id": 5, "method": "tools/list"})
    assert wire.receive()["result"]["tools"]


def test_a_line_over_the_limit_is_refused_in_bounded_memory(wire: Wire) -> None:
    import psutil

    wire.start()
    piece = b"x" * (1 << 20)
    wire.send(b'{"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {"cursor": "')
    for _ in range(1024):  # a gigabyte
        wire.send(piece)
    wire.send(b'"}}\n')
    assert "longer than" in wire.receive()["error"]["message"]
    assert psutil.Process(wire.process.pid).memory_info().rss < 250 << 20
    wire.send({"jsonrpc": "2.0", "id": 5, "method": "tools/list"})
    assert wire.receive()["id"] == 5


def test_a_client_that_closes_its_end_lets_the_shim_go(wire: Wire) -> None:
    wire.start()
    assert wire.process.stdin is not None
    wire.process.stdin.close()
    assert wire.process.wait(10) == 0


def test_the_shim_is_small(wire: Wire) -> None:
    import psutil

    wire.start()
    assert psutil.Process(wire.process.pid).memory_info().rss < 30 << 20


# --- starting and losing the host


async def test_clients_that_start_together_meet_at_one_host_and_one_engine(own_home: Home) -> None:
    async def use() -> str:
        async with own_home.client() as client:
            return answer(await client.call_tool("generate", {"prompt": "What is the capital of France?"}))["text"]

    answers: list[str] = []

    async def collect() -> None:
        answers.append(await use())

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(collect)
    assert answers == ["Paris"] * 5
    assert len(own_home.hosts()) == 1
    assert len(own_home.engines()) == 1


async def test_a_stale_socket_does_not_keep_a_client_out(own_home: Home) -> None:
    with own_home.entered(), socket.socket(socket.AF_UNIX) as dead:
        dead.bind(socket_path("host", __version__))
    async with own_home.client() as client:
        assert (await client.list_tools()).tools


@pytest.mark.parametrize("era", ERAS)
async def test_a_killed_host_costs_the_client_neither_session_nor_a_call_that_changes_nothing(
    own_home: Home, era: Era
) -> None:
    async with own_home.client(era=era) as client:
        await client.list_tools()
        await client.call_tool("generate", {"prompt": "Hello"})  # the engine's start is none of the call's few seconds
        results: list[Any] = []

        async def call() -> None:
            results.append(await client.call_tool("generate", MANY))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await _running(own_home)
            kill(*own_home.hosts())
        assert len(answer(results[0])["results"]) == 128
        assert [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_may_change_something_is_not_repeated_and_says_so(own_home: Home, era: Era) -> None:
    async with own_home.client(era=era) as client:
        await client.call_tool("generate", {"prompt": "Hello"})
        (engine,) = own_home.engines()
        engine.send_signal(signal.SIGSTOP)
        results: list[Any] = []

        async def call() -> None:
            results.append(await client.call_tool("cancel-job", {"job": "gen-000000000000"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await client.list_tools()  # once this is answered, the host has the call that came before it
            kill(*own_home.hosts())
        engine.send_signal(signal.SIGCONT)
        assert results[0].is_error
        assert "host process ended while cancel-job was running" in text(results[0])
        again = await client.call_tool("generate", {"prompt": "Reverse the words: red green blue"})
        assert answer(again)["text"] == "blue green red"


async def _running(home: Home) -> None:
    """Wait until a job is writing."""
    async with home.engine() as engine:
        while True:
            status = await engine.status()
            if any(view.state == "running" and view.progress.phase == "writing" for view in status.jobs):
                return
            await anyio.sleep(0.01)


async def test_an_idle_host_may_die_without_the_client_noticing(own_home: Home) -> None:
    async with own_home.client() as client:
        await client.list_tools()
        kill(*own_home.hosts())
        assert (
            answer(await client.call_tool("generate", {"prompt": "What is the capital of France?"}))["text"] == "Paris"
        )


async def test_work_that_was_handed_over_survives_a_killed_host(own_home: Home) -> None:
    async with own_home.client("--reply-within", "1") as client:
        told = answer(await client.call_tool("generate", MANY))
        assert told["state"] in ("queued", "running")
        kill(*own_home.hosts())
        while told["state"] in ("queued", "running"):
            told = answer(await client.call_tool("check-job", {"job": told["job"], "wait_seconds": 50}))
        assert told["state"] == "done"
        assert len(told["results"]) == 128


def test_a_host_that_keeps_dying_ends_the_shim_with_a_line(own_home: Home) -> None:
    process = own_home.spawn()
    watchdog = threading.Timer(90, process.kill)
    watchdog.start()
    wire = Wire(process)
    wire.start()
    import psutil

    killed = 0
    while process.poll() is None:
        for host in own_home.hosts():
            try:
                host.kill()
                killed += 1
            except psutil.NoSuchProcess:
                continue
    watchdog.cancel()
    _, error = process.communicate(timeout=10)
    assert process.returncode == 1
    assert killed >= 2
    assert "could not be reached again" in error.decode()


async def test_an_idle_host_ends_by_itself(own_home: Home) -> None:
    with own_home.entered():
        from adapters.settings import settings_file

        settings_file().write_text("host_idle = 1\n")
    async with own_home.client() as client:
        await client.list_tools()
    await until(lambda: not own_home.hosts(), "the idle host ended", 30)


@pytest.mark.parametrize("value", ["plain", 'a "quoted" \\ path', "tab\tline\nend\x00", "ünïcode 漢字 🙂", ""])
def test_the_greeting_is_json_whatever_is_in_it(value: str) -> None:
    options: dict[str, object] = {"model": value, "allow": [value, "/a"], "offline": True}
    assert json.loads(hello(options))["options"] == options
