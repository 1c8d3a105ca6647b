"""No line that a client sends ends its session, or leaves a request without an answer that has an id to be read."""

import json
import random
import signal
from collections.abc import Iterator

import pytest

from adapters.sockets import LINE_LIMIT
from mcp_server.request_id import request_id
from tests.mcp_server.wire import INITIALIZE, INITIALIZED, Wire, wired
from tests.running import Home


@pytest.fixture(scope="module")
def open_wire(shared_home: Home) -> Iterator[Wire]:
    with wired(shared_home) as wire:
        wire.start()
        yield wire


def goes_on(wire: Wire, number: str) -> list[dict]:
    """Ask for the tools, and return what came before they did."""
    wire.send({"jsonrpc": "2.0", "id": number, "method": "tools/list"})
    before = []
    while (message := wire.receive()).get("id") != number:
        before.append(message)
    assert message["result"]["tools"]
    return before


def nested(depth: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"a":' + b"[" * depth + b"]" * depth + b"}}\n"


@pytest.mark.parametrize("depth", [300, 1_000, 100_000])
def test_a_line_nested_deep_is_answered_under_its_id_and_the_session_goes_on(open_wire: Wire, depth: int) -> None:
    open_wire.send(nested(depth))
    (answer,) = goes_on(open_wire, f"after {depth}")
    assert (answer["id"], answer["error"]["code"]) == (7, -32700)


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":8,"method":"tools/list","params":[1]}\n',
        b'{"jsonrpc":"1.0","id":8,"method":"tools/list"}\n',
        b'{"jsonrpc":"2.0","id":8,"method":5}\n',
        b'{"jsonrpc":"2.0","id":8,"method":"tools/list",}\n',
        b'{"jsonrpc":"2.0","method":"tools/list","params":{"id":9,"n":' + b"9" * 5000 + b'e},"id":8}\n',
    ],
)
def test_a_request_that_cannot_be_read_is_answered_under_its_id(open_wire: Wire, line: bytes) -> None:
    open_wire.send(line)
    (answer,) = goes_on(open_wire, "after")
    assert answer["id"] == 8
    assert answer["error"]["code"] in (-32600, -32700, -32602)


@pytest.mark.parametrize("number", [b"1.0", b"true", b"null", b"[1]", b'{"a":1}'])
def test_an_id_that_is_none_is_told(open_wire: Wire, number: bytes) -> None:
    open_wire.send(b'{"jsonrpc":"2.0","method":"tools/list","id":' + number + b"}\n")
    (answer,) = goes_on(open_wire, "after")
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)
    assert "id is" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("tools/list", {"_meta": {"progressToken": None}}, "_meta.progressToken"),
        ("tools/list", {"_meta": {"progressToken": True}}, "_meta.progressToken"),
        ("tools/list", {"_meta": {"progressToken": 1.5}}, "_meta.progressToken"),
        ("tools/list", {"_meta": []}, "_meta"),
        ("tools/call", {"name": "list-library", "arguments": "{}"}, "arguments is a text"),
        ("prompts/get", {"name": "x", "arguments": [1]}, "arguments is a list"),
        ("initialize", INITIALIZE["params"] | {"clientInfo": {"name": "x"}}, "clientInfo.version"),
        ("initialize", INITIALIZE["params"] | {"clientInfo": None}, "clientInfo"),
    ],
)
def test_a_wrong_parameter_is_told_by_its_name(open_wire: Wire, method: str, params: dict, named: str) -> None:
    open_wire.send({"jsonrpc": "2.0", "id": 8, "method": method, "params": params})
    (answer,) = goes_on(open_wire, "after")
    assert (answer["id"], answer["error"]["code"]) == (8, -32602)
    assert named in answer["error"]["message"]


def test_the_version_that_has_batches_is_not_agreed_to(shared_home: Home) -> None:
    with wired(shared_home) as wire:
        wire.send(INITIALIZE | {"params": INITIALIZE["params"] | {"protocolVersion": "2025-03-26"}})
        assert wire.receive()["result"]["protocolVersion"] == "2024-11-05"
        wire.send(INITIALIZED)
        wire.send([{"jsonrpc": "2.0", "id": 3, "method": "ping"}])
        (answer,) = goes_on(wire, "after")
        assert answer["error"]["code"] == -32600


def test_a_call_is_answered_though_standard_input_ends_after_it(shared_home: Home) -> None:
    with wired(shared_home) as wire:
        call = {"name": "list-library", "arguments": {"kind": "models"}}
        wire.send(INITIALIZE, INITIALIZED, {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": call})
        assert wire.process.stdin is not None
        wire.process.stdin.close()
        assert [wire.receive()["id"], wire.receive()["id"]] == [0, 4]
        assert wire.process.wait(20) == 0


def test_ctrl_c_prints_no_traceback(shared_home: Home) -> None:
    with wired(shared_home) as wire:
        wire.start()
        wire.process.send_signal(signal.SIGINT)
        assert wire.process.wait(20) in (0, 130)
        assert wire.process.stderr is not None
        assert b"Traceback" not in wire.process.stderr.read()


def test_a_request_over_the_limit_is_answered_under_its_id(open_wire: Wire) -> None:
    open_wire.send(
        b'{"jsonrpc":"2.0","id":"long","method":"tools/list","params":{"cursor":"' + b"x" * LINE_LIMIT + b'"}}\n'
    )
    (answer,) = goes_on(open_wire, "after it")
    assert (answer["id"], answer["error"]["code"]) == ("long", -32600)


def test_mutated_lines_leave_the_session_as_it_was(open_wire: Wire) -> None:
    chance = random.Random(5)
    lines = [
        json.dumps(
            {"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": {"name": "list-library", "arguments": {}}}
        ),
        json.dumps({"jsonrpc": "2.0", "id": 51, "method": "ping"}),
        json.dumps({"jsonrpc": "2.0", "id": 52, "method": "resources/read", "params": {"uri": "mlx://x"}}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 50}}),
    ]
    for number in range(300):
        line = bytearray(chance.choice(lines).encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(line))
            line[at : at + chance.randint(0, 3)] = bytes(
                chance.choice(b'{}[]",:\\0e-u\x00\xff\xd8nt') for _ in range(chance.randint(0, 3))
            )
        open_wire.send(bytes(line).replace(b"\n", b" ") + b"\n")
        if number % 25 == 0:
            goes_on(open_wire, f"mutated {number}")
    goes_on(open_wire, "at the end")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"id": 4, "a": [', b"4"),
        (b'{"id":"a\\"b"}', b'"a\\"b"'),
        (b'{"params": {"id": 3}, "id": -1}', b"-1"),
        (b'{"params": {"id": 3}}', None),
        (b'{"id": 1.0}', None),
        (b'{"id": true}', None),
        (b'{"id": null}', None),
        (b'{"a": "\\"id\\": 5"}', None),
        (b'[{"id": 5}]', None),
        (b"", None),
    ],
)
def test_an_id_is_read_only_where_it_is_the_messages_own(line: bytes, found: bytes | None) -> None:
    assert request_id(line) == found
