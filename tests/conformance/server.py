"""The shipped server over the shipped HTTP front, with the suite's fixtures: `python -m tests.conformance.server PORT`.

The suite sends no token, so one is put into each of its requests; the check of it is the shipped one.
"""

import asyncio
import sys

from starlette.types import Receive, Scope, Send

from adapters.engine import EngineClient
from adapters.settings import for_client
from mcp_server.connection import Connection
from mcp_server.http import serving
from mcp_server.http.serving import Address, http_front
from mcp_server.http.token import read_token
from mcp_server.server import make_server
from tests.conformance import asking, fixtures


class WithToken(serving.Guarded):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = (b"authorization", f"Bearer {read_token()}".encode())
        await super().__call__({**scope, "headers": [*scope["headers"], shown]}, receive, send)


async def main(port: int) -> None:
    serving.Guarded = WithToken
    connection = Connection.make(for_client({}), None, EngineClient())
    server = make_server(connection.settings)
    fixtures.register(server)
    asking.register(server)
    address = Address(port=port)
    async with http_front(connection, address, address.bind()):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
