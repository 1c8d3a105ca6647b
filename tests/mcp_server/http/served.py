"""A real `serve --http` process for tests, and clients of it."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_server.http.token import read_token
from tests.running import Era, Home


@dataclass(frozen=True)
class Served:
    url: str
    token: str
    process: "subprocess.Popen[bytes]"
    said: list[str]  # the lines of its log so far

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @contextlib.asynccontextmanager
    async def client(self, era: Era = "auto") -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers=self.headers, timeout=90) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=era) as client,
        ):
            yield client


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(home: Home, *options: str) -> Iterator[Served]:
    """`serve --http` in this home, up and answering."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "mcp_server", "serve", "--http", "--port", str(port), *options],
        env=home.environment | {"COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=home.folder,
    ) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline().decode()
            assert first.startswith("MCP is served at "), first
            with home.entered():
                token = read_token()
            url = first.split()[-1]
            _wait(port)
            said = list[str]()
            # Read as it comes: a process whose pipe is full stops at its next line.
            reading = threading.Thread(target=_read_on, args=(process.stderr, said), daemon=True)
            reading.start()
            yield Served(url, token, process, said)
        finally:
            process.terminate()
            process.wait(20)


def _read_on(log: IO[bytes], said: list[str]) -> None:
    for line in log:
        said.append(line.decode())


def _wait(port: int) -> None:
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=50), timeout=30) as http:
        assert http.get(f"http://127.0.0.1:{port}/").status_code == 404
