"""HTTP does what stdio does, for those who show the token, and for nobody else; strangers cost it nothing."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest

from adapters.engine import EngineClient
from adapters.errors import InvalidRequest
from adapters.settings import for_client
from mcp_server.connection import Connection
from mcp_server.http import serving
from mcp_server.http.serving import Address
from mcp_server.http.token import TokenCheck, make_token, read_token
from tests.mcp_server.http.served import Served, free_port, served
from tests.mcp_server.wire import INITIALIZE
from tests.running import ERAS, Era, Home, answer, text, until

pytestmark = pytest.mark.anyio

ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def front(shared_home: Home) -> Iterator[Served]:
    with served(shared_home, "--allow", str(shared_home.folder / "granted")) as one:
        yield one


def post(front: Served, body: Any = INITIALIZE, **headers: str) -> httpx2.Response:
    with httpx2.Client(timeout=30) as http:
        return http.post(front.url, json=body, headers=ACCEPT | front.headers | headers)


# --- what it gives


@pytest.mark.parametrize("era", ERAS)
async def test_http_offers_and_answers_as_stdio_does(era: Era, front: Served, shared_home: Home) -> None:
    asked = {"prompt": "Reverse the words: red green blue"}
    async with front.client(era) as over_http, shared_home.client(era=era) as over_stdio:
        assert (await over_http.list_tools()).tools == (await over_stdio.list_tools()).tools
        told = list[float]()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        given = answer(await over_http.call_tool("generate", asked, progress_callback=on_progress))
        assert given["text"] == answer(await over_stdio.call_tool("generate", asked))["text"] == "blue green red"
        assert told == sorted(told)
        library = await over_http.read_resource("library://models")
        assert "starter" in library.contents[0].text  # pyright: ignore[reportAttributeAccessIssue]
        refused = await over_http.call_tool("generate", {"prompt": "Hi", "colour": 1})
        assert refused.is_error
        assert "colour is not an argument" in text(refused)


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_cancelled_over_http_ends_its_job(era: Era, front: Served, shared_home: Home) -> None:
    work = {"prompts": ["Tell me a story about a frog."] * 64, "temperature": 2.0, "max_tokens": 1500}
    async with front.client(era) as client, shared_home.engine() as engine:
        with anyio.move_on_after(1.5):
            await client.call_tool("generate", work)
        with anyio.fail_after(30):
            while any(view.state in ("queued", "running") for view in (await engine.status()).jobs):
                await anyio.sleep(0.05)


async def test_the_folder_that_it_was_started_in_is_not_granted(front: Served, shared_home: Home) -> None:
    folder = shared_home.folder / "granted"
    folder.mkdir(exist_ok=True)
    (folder / "in.txt").write_text("The sky is green.")
    (shared_home.folder / "out.txt").write_text("no")
    async with front.client() as client:
        inside = await client.call_tool("generate", {"prompt": "Hi", "files": [str(folder / "in.txt")]})
        outside = await client.call_tool("generate", {"prompt": "Hi", "files": [str(shared_home.folder / "out.txt")]})
    assert not inside.is_error
    assert "outside the granted folders" in text(outside)


async def test_many_clients_are_answered_at_once(front: Served) -> None:
    async def ask(number: int) -> str:
        async with front.client() as client:
            return answer(await client.call_tool("generate", {"prompt": f"Repeat: word {number}"}))["state"]

    assert await asyncio.gather(*map(ask, range(8))) == ["done"] * 8


# --- who is refused


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic abc", "Bearer " + "x" * 9000, "Bearer \u00e4"]
)
def test_without_the_token_nothing_is_answered(header: str | None, front: Served) -> None:
    with httpx2.Client() as http:
        shown: dict[str, Any] = {"Authorization": header.encode()} if header else {}
        refused = http.post(front.url, json=INITIALIZE, headers=ACCEPT | shown)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "mcp-server-mlx token" in refused.text


def test_a_token_that_was_exchanged_stops_working_at_once(own_home: Home) -> None:
    with served(own_home) as front:
        assert post(front).status_code == 200
        with own_home.entered():
            new = make_token()
        assert post(front).status_code == 401
        assert post(front, Authorization=f"Bearer {new}").status_code == 200
        (own_home.folder / "config" / "http-token").unlink()
        assert post(front, Authorization=f"Bearer {new}").status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:1@evil.example",
        "localhost:80.evil.example",
    ],
)
def test_a_foreign_host_is_refused(host: str, front: Served) -> None:
    assert post(front, Host=host).status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:80.evil.example"]
)
def test_a_foreign_origin_is_refused(origin: str, front: Served) -> None:
    assert post(front, Origin=origin).status_code == 403
    assert post(front, Origin=f"http://localhost:{front.port}").status_code == 200


def test_there_is_nothing_beside_the_one_path(front: Served) -> None:
    with httpx2.Client(headers=front.headers) as http:
        for path in ("/", "/docs", "/mcp/", "/.well-known/oauth-protected-resource"):
            assert http.get(f"http://127.0.0.1:{front.port}{path}").status_code == 404


def test_a_body_over_the_limit_is_refused(front: Served) -> None:
    call = {"name": "generate", "arguments": {"prompt": "x" * (serving.LARGEST_BODY + 1)}}
    assert post(front, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"jsonrpc": "1.0"}', b"\xff\xfe"])
def test_a_body_that_is_no_message_is_refused(body: bytes, front: Served) -> None:
    with httpx2.Client() as http:
        headers = ACCEPT | front.headers | {"Content-Type": "application/json"}
        assert http.post(front.url, content=body, headers=headers).status_code == 400


def test_an_address_that_others_reach_needs_names(own_home: Home) -> None:
    ran = own_home.command("serve", "--http", "--address", "0.0.0.0")
    assert ran.returncode == 1
    assert "--http-host NAME" in ran.stderr
    names = Address("0.0.0.0", 1, ("mac.local",)).answered()
    assert names.answer_to([b"MAC.local.:1"])
    assert not names.answer_to([b"localhost"])
    with pytest.raises(InvalidRequest, match="no host name"):
        Address("0.0.0.0", 1, ("http://mac.local",))


def test_a_port_in_use_is_told(front: Served, own_home: Home) -> None:
    ran = own_home.command("serve", "--http", "--port", str(front.port))
    assert ran.returncode == 1
    assert "Address already in use; choose another with --port" in ran.stderr


def test_options_of_http_alone_are_not_ignored(own_home: Home) -> None:
    ran = own_home.command("serve", "--allow", "/tmp")
    assert ran.returncode == 1
    assert "add --http" in ran.stderr


# --- what strangers cost


async def test_ten_thousand_connections_leave_it_answering(front: Served) -> None:
    def answers() -> bool:
        with contextlib.suppress(httpx2.TransportError):  # while those that are gone are being counted
            return post(front).status_code == 200
        return False

    before, said = psutil.Process(front.process.pid).memory_info().rss, len(front.said)
    with contextlib.ExitStack() as stack:
        for _ in range(10_000):
            stranger = socket.socket()
            stack.callback(stranger.close)
            stranger.settimeout(5)
            stranger.connect(("127.0.0.1", front.port))
            stranger.close()
    await until(answers, "an answer after the strangers", 30)
    assert psutil.Process(front.process.pid).memory_info().rss - before < 50 << 20
    assert len(front.said) - said < 20, "strangers fill the log"


async def test_strangers_do_not_fill_the_log(isolated: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers = list[Any]()

    async def send(message: Any) -> None:
        answers.append(message)

    async def never(*_: Any) -> Any:
        raise AssertionError("nobody gets this far")

    guarded = serving.Guarded(
        never, TokenCheck(), Address().answered(), Connection.make(for_client({}), None, EngineClient())
    )
    for _ in range(500):
        headers = [(b"host", b"localhost"), (b"expect", b"100-continue"), (b"authorization", b"Bearer x")]
        await guarded({"type": "http", "path": "/mcp", "headers": headers}, never, send)
    assert [one["status"] for one in answers if "status" in one] == [401] * 500
    assert len([record for record in caplog.records if "refused" in record.message]) == 1


async def test_a_client_that_never_reads_stops_only_itself(front: Served) -> None:
    body = json.dumps(INITIALIZE).encode()
    head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {front.token}\r\nAccept: {ACCEPT['Accept']}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    before = psutil.Process(front.process.pid).memory_info().rss
    with socket.create_connection(("127.0.0.1", front.port), 10) as slow:
        slow.setblocking(False)
        sent, wanted = 0, (head.encode() + body) * 3000
        with contextlib.suppress(BlockingIOError):
            while sent < len(wanted):
                sent += slow.send(wanted[sent : sent + 65536])
        async with front.client() as client:
            with anyio.fail_after(30):
                assert answer(await client.call_tool("generate", {"prompt": "Hello"}))["state"] == "done"
    assert psutil.Process(front.process.pid).memory_info().rss - before < 100 << 20


async def test_http_is_served_beside_a_host_that_runs_already(shared_home: Home) -> None:
    async with shared_home.client() as client:
        await client.list_tools()
        with served(shared_home) as front:
            assert post(front).status_code == 200
        await client.list_tools()


def test_it_ends_when_it_is_told_to_even_with_a_client_connected(own_home: Home) -> None:
    with served(own_home) as front, socket.create_connection(("127.0.0.1", front.port)):
        assert post(front).status_code == 200
        front.process.terminate()
        assert front.process.wait(20) == 0


def test_a_token_that_others_may_read_is_refused(own_home: Home) -> None:
    with own_home.entered():
        read_token()
    (own_home.folder / "config" / "http-token").chmod(0o644)
    ran = own_home.command("serve", "--http", "--port", str(free_port()))
    assert ran.returncode == 1
    assert "may be read by others; `mcp-server-mlx token --new`" in ran.stderr
    shown = own_home.command("token", "--new").stdout.strip()
    assert own_home.command("token").stdout.strip() == shown
    assert (own_home.folder / "config" / "http-token").stat().st_mode & 0o777 == 0o600


def test_a_port_cannot_be_had_where_the_address_is_none() -> None:
    with pytest.raises(InvalidRequest, match=r"cannot serve on 203\.0\.113\.1 port 9"):
        Address("203.0.113.1", 9, ("x",)).bind()


def test_the_command_says_where_it_is_served() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "mcp_server", "serve", "--help"], capture_output=True, text=True, check=True
    )
    assert "Streamable HTTP" in said.stdout
