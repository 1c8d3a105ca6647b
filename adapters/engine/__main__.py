"""The engine's process: `python -m adapters.engine`. Started on demand; ends by itself."""

import asyncio
import logging
import signal
import sys

from adapters.engine.launch import engine_socket
from adapters.engine.server import Engine
from adapters.errors import ServerError
from adapters.settings import Settings, read_settings
from adapters.sockets import listener


async def _serve(settings: Settings, listening: object) -> None:
    engine = Engine(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, engine.stop)
    await engine.serve(listening)  # pyright: ignore[reportArgumentType]


def main() -> int:
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
