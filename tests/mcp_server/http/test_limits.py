"""Limits of HTTP hold for every request of a connection, and strangers keep nobody out."""

import asyncio
import contextlib
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import httpx2
import pytest

from adapters.engine import EngineClient
from adapters.settings import for_client
from mcp_server.connection import Connection
from mcp_server.http import connections
from mcp_server.http.serving import Address, http_front
from mcp_server.http.token import read_token
from tests.mcp_server.http.served import Served, free_port, served
from tests.mcp_server.wire import INITIALIZE
from tests.running import Home

pytestmark = pytest.mark.anyio

ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def front(shared_home: Home) -> Iterator[Served]:
    with served(shared_home) as one:
        yield one


@contextlib.asynccontextmanager
async def fronted(**limits: Any) -> AsyncIterator[Address]:
    """A front in this process, with other limits."""
    connection = Connection.make(for_client({}), None, EngineClient())
    address = Address(port=free_port())
    with mock.patch.multiple(connections, **limits):
        async with http_front(connection, address, address.bind()):
            yield address


async def asked(address: Address) -> int:
    async with httpx2.AsyncClient(timeout=60) as http:
        shown = {"Authorization": f"Bearer {read_token()}"}
        return (await http.post(address.url, json=INITIALIZE, headers=ACCEPT | shown)).status_code


def head(token: str | None, length: int = 0) -> bytes:
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{shown}Accept: {ACCEPT['Accept']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def test_connections_that_ask_nothing_are_closed_and_keep_nobody_out(isolated: Path) -> None:
    with contextlib.ExitStack() as stack:
        async with fronted(MOST_STRANGERS=20, HEAD_SECONDS=0.5) as address:
            silent = [socket.create_connection(("127.0.0.1", address.port), 10) for _ in range(60)]
            for one in silent:
                stack.callback(one.close)
            with anyio.fail_after(30):
                assert [await anyio.to_thread.run_sync(_closed, one) for one in silent] == [True] * 60
                assert await asked(address) == 200


async def test_half_a_head_ends_on_every_request_of_a_connection(isolated: Path) -> None:
    body = json.dumps(INITIALIZE).encode()
    async with fronted(HEAD_SECONDS=0.5) as address:
        whole = head(read_token(), len(body)) + body
        for before in (b"", whole, whole * 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
            with anyio.fail_after(20):
                writer.write(before)
                for _ in range(before.count(b"POST")):
                    await reader.readuntil(b"\r\n0\r\n\r\n")
                writer.write(b"POST /mcp HTTP/1.1\r\nHost: local")
                assert await _rest(reader) == b""
            writer.close()


async def test_a_body_that_does_not_come_ends_the_request_and_holds_nobody(isolated: Path) -> None:
    async with fronted(BODY_SECONDS=1) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(head(read_token(), 10) + b"{")
        with anyio.fail_after(20):
            assert await asked(address) == 200
            told = await _rest(reader)
        assert told.startswith(b"HTTP/1.1 408")
        assert b"did not come within 1 seconds" in told
        writer.close()


async def test_a_connection_that_rests_is_closed(isolated: Path) -> None:
    body = json.dumps(INITIALIZE).encode()
    async with fronted(IDLE_SECONDS=0.3) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(head(read_token(), len(body)) + body)
        with anyio.fail_after(20):
            assert b"200 OK" in await _rest(reader)
        writer.close()


async def test_a_stranger_gets_one_answer_and_is_gone(front: Served) -> None:
    for length in (0, 100):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(head(None, length) + b"x" * length + b"POST /mcp HTTP/1.1\r\nHo")
        with anyio.fail_after(20):
            told = await _rest(reader)
        assert told.count(b"HTTP/1.1 401") == 1
        assert b"connection: close" in told.lower()
        writer.close()


async def test_two_thousand_strangers_keep_nobody_waiting(front: Served) -> None:
    """Half of them send a request, take the 401 and then half a head; the others half a head at once. All come again."""
    took, half, over = list[float](), b"POST /mcp HTTP/1.1\r\nHost: local", asyncio.Event()
    came = 0

    async def stranger(number: int) -> None:
        nonlocal came
        while not over.is_set():
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
                came += 1
                if number % 2:
                    writer.write(head(None))
                    await reader.read(1)
                writer.write(half)
                await reader.read()
                writer.close()
            await asyncio.sleep(0.2)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    try:
        async with anyio.create_task_group() as tasks:
            for number in range(2000):
                tasks.start_soon(stranger, number)
            with anyio.fail_after(60):
                while came < 2000:
                    await asyncio.sleep(0.01)
                took = [await anyio.to_thread.run_sync(_timed, front) for _ in range(5)]
            over.set()
            tasks.cancel_scope.cancel()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(took)[2] < 1, took


def _timed(front: Served) -> float:
    began = time.monotonic()
    with httpx2.Client(timeout=30) as http:
        assert http.post(front.url, json=INITIALIZE, headers=ACCEPT | front.headers).status_code == 200
    return time.monotonic() - began


async def _rest(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return await reader.read()
    return b""


def _closed(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(1) == b""
    except ConnectionResetError:
        return True
