"""An engine in this process, for programs that want nothing else to run: its own thread, event loop and socket."""

import asyncio
import atexit
import functools
import tempfile
import threading
from pathlib import Path

from adapters.engine.server import Engine
from adapters.errors import EngineUnavailable
from adapters.settings import read_settings
from adapters.sockets import listener

_START_SECONDS = 30.0


@functools.cache
def in_process_engine() -> str:
    """Return the socket of this process's engine, started at the first call; it ends with the process.

    Raises EngineUnavailable when it does not start in time, and what keeps it from starting, such as a wrong setting.
    """
    started = threading.Event()
    running = _Running(started)
    threading.Thread(target=running.run, name="engine", daemon=True).start()
    if not started.wait(_START_SECONDS):
        raise EngineUnavailable("the engine in this process did not start in time; try again, or use the shared one")
    if running.problem is not None:
        raise running.problem
    atexit.register(running.stop)
    return running.path


class _Running:
    """Owned by the engine's thread, apart from `stop`."""

    def __init__(self, started: threading.Event) -> None:
        self._started, self._ended = started, threading.Event()
        self.path = ""
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._started.is_set():
                raise
            self.problem = error
            self._started.set()
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="mlx-") as folder,
            listener(str(Path(folder) / "engine.sock")) as socket,
        ):
            assert socket is not None
            self._loop, self._engine = asyncio.get_running_loop(), Engine(read_settings(), ends_when_idle=False)
            self.path = str(Path(folder) / "engine.sock")
            self._started.set()
            await self._engine.serve(socket)

    def stop(self) -> None:
        """End the engine cleanly: a thread that ends with MLX at work takes the process along."""
        self._loop.call_soon_threadsafe(self._engine.stop)
        self._ended.wait(10)
