"""Everything in one process: shim, host and engine, over this process's stdio. Shares no models with other clients."""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import stdio_server

from adapters.engine import EngineClient
from adapters.engine.server import Engine
from adapters.errors import ServerError
from adapters.protocol.surrogates import whole_json
from adapters.settings import read_settings
from adapters.sockets import listener
from mcp_server.connection import CURRENT
from mcp_server.host.__main__ import LOG_FORMAT
from mcp_server.host.library_watch import watch_library
from mcp_server.host.listen import connection_of
from mcp_server.server import make_server


def run(greeting: bytes) -> int:
    """Serve one client on stdin and stdout, as a shim's first line describes it, until it goes."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    try:
        asyncio.run(_run(greeting))
    except ServerError as error:
        sys.stderr.write(f"mcp-server-mlx: {error}\n")
        return 2
    # A thread that still reads stdin would keep the process.
    sys.stdout.flush()
    os._exit(0)


class _WholeLines:
    """The client's lines as `stdio_server` takes them, with U+FFFD for lone surrogates."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = anyio.wrap_file(file)

    async def __aiter__(self) -> AsyncIterator[str]:
        async for line in self._lines:
            yield whole_json(line).decode()


def _taken_stdin() -> BinaryIO:
    """Return the client's end, moved away from descriptor 0: what is started here reads nothing of it."""
    mine = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return mine


async def _run(greeting: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="mlx-") as folder, listener(str(Path(folder) / "engine.sock")) as listening:
        assert listening is not None
        engine = Engine(read_settings(), ends_when_idle=False)
        serving = asyncio.create_task(engine.serve(listening))
        watching = asyncio.create_task(watch_library())
        client = EngineClient(path=str(Path(folder) / "engine.sock"))
        try:
            connection = connection_of(greeting, client)
            CURRENT.set(connection)
            server = make_server(connection.settings)._lowlevel_server  # pyright: ignore[reportPrivateUsage]
            stdin: Any = _WholeLines(_taken_stdin())
            async with stdio_server(stdin=stdin) as (from_client, to_client):
                await serve_dual_era_loop(server, from_client, to_client, lifespan_state=connection)
        finally:
            watching.cancel()
            await client.close()
            engine.stop()
            await serving
