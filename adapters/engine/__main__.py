"""The engine's process: `python -m adapters.engine`. Started on demand; ends by itself."""

import asyncio
import contextlib
import ctypes
import logging
import signal
import sys

from adapters.engine.launch import engine_socket
from adapters.engine.server import Engine
from adapters.errors import ServerError
from adapters.settings import Settings, read_settings
from adapters.sockets import listener

# Parameters of mallopt(3).
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


async def _serve(settings: Settings, listening: object) -> None:
    engine = Engine(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, engine.stop)
    await engine.serve(listening)  # pyright: ignore[reportArgumentType]


def _give_large_blocks_back() -> None:
    """Have what pictures and sound took go back to the system at once.

    glibc raises the size from which it does so with every large block that is freed, and keeps the others in one heap a
    thread: an engine that decodes pictures of many sizes would grow for long. Other systems give them back as it is.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(_MMAP_THRESHOLD, 1 << 20)
            libc.mallopt(_ARENA_MAX, 2)


def main() -> int:
    _give_large_blocks_back()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s | %(message)s"
    )
    try:
        settings = read_settings()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with listener(engine_socket()) as listening:
        if listening is None:
            return 0  # another engine is there already, which is all that was wanted
        asyncio.run(_serve(settings, listening))
    return 0


if __name__ == "__main__":
    sys.exit(main())
