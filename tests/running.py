"""Real processes for tests: the command as a client starts it, and what runs behind it in one home folder."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import anyio
import psutil
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from adapters.engine import EngineClient
from adapters.sockets import socket_folder

Era = Literal["legacy", "auto"]
ERAS: tuple[Era, ...] = ("legacy", "auto")
PATIENCE = 60.0
MODULE = (sys.executable, "-m", "mcp_server")


@dataclass(frozen=True)
class Home:
    """A folder for configuration, state and sockets, with whatever processes were started in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"MCP_SERVER_MLX_HOME": str(self.folder), "HF_HUB_OFFLINE": "1"}

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This process's own look-ups go to this home."""
        with mock.patch.dict(os.environ, {"MCP_SERVER_MLX_HOME": str(self.folder)}):
            yield

    @contextlib.asynccontextmanager
    async def client(self, *options: str, era: Era = "auto", cwd: Path | None = None) -> AsyncIterator[Client]:
        """A real MCP client on a real stdio subprocess."""
        arguments = ["-m", "mcp_server", "--model", "starter", *options]
        parameters = StdioServerParameters(
            command=sys.executable, args=arguments, env=self.environment, cwd=str(cwd or self.folder)
        )
        async with Client(parameters, mode=era) as client:
            yield client

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[EngineClient]:
        """The engine's own client, in this process."""
        with self.entered():
            engine = EngineClient()
            try:
                yield engine
            finally:
                await engine.close()

    def spawn(self, *options: str, command: Sequence[str] = MODULE) -> subprocess.Popen[bytes]:
        """The command with its pipes, for tests that speak the wire themselves."""
        return subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
        )

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """A command of a person's, run to its end."""
        return subprocess.run(
            [sys.executable, "-m", "mcp_server", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment | {"COLUMNS": "200", "NO_COLOR": "1"},
            check=False,
        )

    def processes(self, module: str) -> list[psutil.Process]:
        """The processes of this home that run that module."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                mine = process.environ().get("MCP_SERVER_MLX_HOME") == str(self.folder)
                if mine and module in process.cmdline():
                    found.append(process)
        return found

    def hosts(self) -> list[psutil.Process]:
        return self.processes("mcp_server.host")

    def engines(self) -> list[psutil.Process]:
        return self.processes("adapters.engine")

    def trainers(self) -> list[psutil.Process]:
        return self.processes("adapters.mlx.training")

    def jobs(self) -> list[Path]:
        """What is kept of the jobs that were done here."""
        return list((self.folder / "state" / "jobs").glob("*.json"))

    def log(self, process: str) -> str:
        path = self.folder / "logs" / f"{process}.log"
        return path.read_text() if path.exists() else ""

    def sockets(self) -> Path:
        with self.entered():
            return Path(socket_folder())

    def stop(self) -> None:
        """End everything of this home, at once."""
        kill(*self.hosts(), *self.engines(), *self.trainers())


def kill(*processes: psutil.Process) -> None:
    """Kill processes, and wait until they run no more: whose children they are reaps them when it likes."""
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, f"{process} does not die"


def answer(result: CallToolResult) -> dict[str, Any]:
    """The structured part of a result that is no error."""
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    return dict(result.structured_content)


def text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


async def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until the condition gives something true, and give it."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        await anyio.sleep(0.01)
    return found
