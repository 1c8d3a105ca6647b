"""A client that cuts an emoji in two is answered, over stdio, in one process, and over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mcp_server.http.served import served
from tests.mcp_server.wire import INITIALIZE, Wire, wired
from tests.running import Home

HALF = b"\\ud83d"


@pytest.fixture(params=[(), ("--standalone",)], ids=["host", "standalone"])
def wire(shared_home: Home, request: pytest.FixtureRequest) -> Iterator[Wire]:
    with wired(shared_home, "--model", "starter", *request.param) as wire:
        yield wire


def calling(tool: str, arguments: dict[str, Any], number: int = 1) -> bytes:
    """The line of a call in which each `HALF` is half a character."""
    call = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return json.dumps(call).encode().replace(b"HALF", HALF)


def told(wire: Wire, number: int) -> dict[str, Any]:
    while (message := wire.receive()).get("id") != number:
        pass
    return message["result"]


def test_a_call_with_half_a_character_is_answered(wire: Wire) -> None:
    wire.start()
    wire.send(calling("generate", {"prompt": "Repeat: red HALF", "max_tokens": 8}) + b"\n")
    answered = told(wire, 1)
    assert not answered["isError"]
    assert answered["structuredContent"]["state"] == "done"
    wire.send(calling("generate", {"prompt": "Hi", "stop": ["HALF"], "model": "/HALF"}, 2) + b"\n")
    refused = told(wire, 2)
    assert refused["isError"]
    assert "/\ufffd" in refused["content"][0]["text"]
    wire.send(calling("nothing-HALF", {}, 3) + b"\n")
    while (message := wire.receive()).get("id") != 3:
        pass
    assert "\ufffd" in message["error"]["message"]


def test_a_recording_with_half_a_character_is_kept(wire: Wire) -> None:
    wire.start()
    messages = [{"role": "user", "content": "HALF?"}, {"role": "assistant", "content": "yes HALF", "tool_calls": []}]
    wire.send(calling("record-session", {"session": "halves", "messages": messages, "tags": ["HALF"]}) + b"\n")
    assert not told(wire, 1)["isError"]


def test_http_answers_a_call_with_half_a_character(shared_home: Home) -> None:
    with served(shared_home, "--model", "starter") as front, httpx2.Client(timeout=60) as http:
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"} | front.headers
        opened = http.post(front.url, json=INITIALIZE, headers=headers)
        headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
        http.post(front.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
        body = calling("generate", {"prompt": "Repeat: red HALF", "max_tokens": 8})
        answered = http.post(front.url, content=body, headers=headers).text
        assert '"state":"done"' in answered.replace(" ", "")


def test_a_file_whose_name_is_no_utf8_is_named(shared_home: Home, tmp_path: Path) -> None:
    named = bytes(tmp_path) + b"/n\xff.jsonl"
    row = rb'{"messages": [{"role": "user", "content": "q \ud83d"}, {"role": "assistant", "content": "a \ud83d"}]}'
    Path(named.decode("utf-8", "surrogateescape")).write_bytes(row + b"\n")
    done = shared_home.command("sessions", "import", "odd-names", named.decode("utf-8", "surrogateescape"))
    assert done.returncode == 0, done.stderr
    shown = shared_home.command("sessions", "export", "odd-names", str(tmp_path / "out.jsonl"))
    assert shown.returncode == 0, shown.stderr
    assert "q \ufffd" in (tmp_path / "out.jsonl").read_text()
