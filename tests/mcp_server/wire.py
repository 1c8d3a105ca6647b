"""A client that speaks lines itself, to a server of its own."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from tests.running import Home

INITIALIZE = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}  # fmt: skip
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Wire:
    """A client that speaks lines itself."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []

    def send(self, *messages: object) -> None:
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.lines.append(line)
        return json.loads(line)

    def start(self) -> None:
        self.send(INITIALIZE)
        assert self.receive()["id"] == 0
        self.send(INITIALIZED)


@contextlib.contextmanager
def wired(home: Home, *options: str) -> Iterator[Wire]:
    """Yield a wire to a server that is started with these options, and ended with the block."""
    process = home.spawn(*options)
    watchdog = threading.Timer(90, process.kill)
    watchdog.start()
    try:
        yield Wire(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
