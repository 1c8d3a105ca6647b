"""What a server meets on a bad day: no room, no home, strangers, clients that do not read. Each costs what it must and no more."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mcp import Client, StdioServerParameters

from adapters import __version__
from adapters.recordings import store
from tests.mcp_server.wire import Wire
from tests.running import Home, answer, text

pytestmark = pytest.mark.anyio

RECORD: dict[str, Any] = {
    "session": "full",
    "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
}


@pytest.fixture
def no_home() -> Iterator[Home]:
    """A home that cannot be made: a file is in its place."""
    with tempfile.NamedTemporaryFile(prefix="mlx-", dir="/tmp") as file:  # short: paths of sockets are limited
        yield Home(Path(file.name) / "home")


@pytest.mark.parametrize("command", [["status"], ["token"], ["models", "list"], ["sessions", "list"], ["stop"]])
def test_a_home_that_cannot_be_written_is_one_line(command: list[str], no_home: Home) -> None:
    ran = no_home.command(*command)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: cannot make the folder ")
    assert "set MCP_SERVER_MLX_HOME to a folder of yours" in ran.stderr


@pytest.mark.parametrize("length", [4, 90])
def test_a_client_without_a_home_is_told_on_stderr(length: int, no_home: Home) -> None:
    # With a path that is too long for sockets these lie elsewhere, and the log is what cannot be made.
    environment = no_home.environment | {"MCP_SERVER_MLX_HOME": str(no_home.folder) + "x" * length}
    ran = subprocess.run(
        [sys.executable, "-m", "mcp_server"], env=environment, input="", capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "set MCP_SERVER_MLX_HOME to a folder of yours" in ran.stderr
    assert "Traceback" not in ran.stderr


async def test_on_a_full_disk_answers_go_on_and_what_cannot_be_kept_says_so(own_home: Home) -> None:
    # No process of this home can write a byte to a file: what a full disk does, without filling one.
    command = f"ulimit -f 0; exec {sys.executable} -m mcp_server --model starter"
    quiet = own_home.environment | {"PYTHONDONTWRITEBYTECODE": "1"}
    async with Client(StdioServerParameters(command="bash", args=["-c", command], env=quiet)) as client:
        given = answer(await client.call_tool("generate", {"prompt": "Repeat: hello"}))
        assert (given["text"], given["state"]) == ("hello", "done")
        refused = await client.call_tool("record-session", RECORD)
        assert refused.is_error
        assert "cannot be written" in text(refused)
        assert "free some space" in text(refused)
        assert not (await client.call_tool("list-library", {})).is_error
    with own_home.entered():
        assert store.names() == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user to test with")
async def test_another_user_is_not_served(own_home: Home) -> None:
    async with own_home.client() as client:
        await client.list_tools()
        folder = own_home.sockets()
        path = str(folder / f"host-{__version__}.sock")
        assert _as_nobody(path) == "no way in"
        # Even where somebody opened the way, the host looks at who is there.
        for opened, mode in ((own_home.folder, 0o755), (folder, 0o755), (Path(path), 0o666)):
            opened.chmod(mode)
        assert _as_nobody(path) == "turned away"
        await client.list_tools()


def _as_nobody(path: str) -> str:
    """What another user gets who greets the host as a client would."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, _greeted(path).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        found = said.read().decode()
    os.waitpid(child, 0)
    return found


def _greeted(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(10)
        try:
            stranger.connect(path)
        except PermissionError:
            return "no way in"
        try:
            stranger.sendall(json.dumps({"version": __version__, "cwd": "/", "options": {}}).encode() + b"\n")
            return "served" if stranger.recv(1) else "turned away"
        except OSError:
            return "turned away"


def test_two_users_keep_their_own(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("a", "b")]
    tokens = [home.command("token").stdout.strip() for home in homes]
    assert len(set(tokens)) == 2
    for home in homes:
        assert (home.folder / "config" / "http-token").stat().st_mode & 0o077 == 0
        assert (home.folder / "config").stat().st_mode & 0o077 == 0


@pytest.fixture
def deaf(shared_home: Home) -> Iterator[Wire]:
    process = shared_home.spawn()
    yield Wire(process)
    process.kill()
    process.wait()


async def test_a_client_that_never_reads_stops_only_itself(deaf: Wire, shared_home: Home) -> None:
    deaf.start()
    async with shared_home.client() as client:
        await client.list_tools()
        (host,) = shared_home.hosts()
        before = host.memory_info().rss
        assert deaf.process.stdin is not None
        os.set_blocking(deaf.process.stdin.fileno(), False)
        asked = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).encode() + b"\n"
        with contextlib.suppress(BlockingIOError):
            for _ in range(20_000):
                os.write(deaf.process.stdin.fileno(), asked)
        with anyio.fail_after(30):
            given = answer(await client.call_tool("generate", {"prompt": "Repeat: hello"}))
        assert given["text"] == "hello"
        assert host.memory_info().rss - before < 100 << 20


async def test_ten_thousand_connections_to_the_host_keep_nobody_out(own_home: Home) -> None:
    async with own_home.client() as client:
        await client.list_tools()
        (host,) = own_home.hosts()
        before = host.memory_info().rss
        path = str(own_home.sockets() / f"host-{__version__}.sock")
        held = list[socket.socket]()
        for number in range(10_000):
            stranger = await anyio.to_thread.run_sync(_connected, path)
            if number < 500:
                held.append(stranger)  # silent ones, until they are given up
            else:
                stranger.close()
        assert answer(await client.call_tool("generate", {"prompt": "Repeat: hello"}))["text"] == "hello"
        async with own_home.client() as another:
            assert (await another.list_tools()).tools
        assert psutil.Process(host.pid).memory_info().rss - before < 100 << 20
        for stranger in held:
            stranger.close()


def _connected(path: str) -> socket.socket:
    stranger = socket.socket(socket.AF_UNIX)
    stranger.connect(path)
    return stranger
