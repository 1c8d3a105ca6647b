"""Starting the engine on demand, at most one for a user, in a session of its own so that no client takes it along."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from adapters.errors import EngineUnavailable
from adapters.places import log_file, open_log
from adapters.protocol.messages import PROTOCOL
from adapters.sockets import connect, connect_or_start, peer_process, socket_path

_PATIENCE_SECONDS = 30.0
_TAIL_BYTES = 2000


def engine_socket() -> str:
    return socket_path("engine", str(PROTOCOL))


def connect_engine(start: bool) -> socket.socket | None:
    """Return a connection to the engine, started if `start` says so and there is none; else None.

    Blocks for as long as the engine takes to start. Raises EngineUnavailable with the end of its log when it cannot.
    """
    if not start:
        return connect(engine_socket())
    try:
        return connect_or_start(engine_socket(), _start, _PATIENCE_SECONDS)
    except (ConnectionError, TimeoutError) as error:
        raise EngineUnavailable(f"the engine did not start: {error}. Its log is {log_file('engine')}") from error


def engine_process() -> int | None:
    """Return the process id of the engine, also of one that gives no answer, or None when no engine runs."""
    connection = connect(engine_socket())
    if connection is None:
        return None
    with connection:
        return peer_process(connection)


def _start() -> Callable[[], str | None]:
    log = log_file("engine")
    with open(open_log("engine"), "ab") as file:
        begin = log.stat().st_size
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "adapters.engine"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd="/",
        )

    def ended() -> str | None:
        code = process.poll()
        if code is None or code == 0:
            return None
        said = log.read_bytes()[begin:][-_TAIL_BYTES:].decode(errors="replace").strip()
        return f"{describe_exit(code)}: {said}"

    return ended


def describe_exit(code: int) -> str:
    """Return how a process ended, in words."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"it was killed ({name})" if name == "SIGKILL" else f"it crashed ({name})"
    return f"it ended with code {code}"
