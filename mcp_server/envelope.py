"""What the SDK lets pass in a message though nobody could answer it rightly: found here, and told by its name."""

import json
from collections.abc import Mapping
from typing import Any

from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest

_INVALID_REQUEST, _INVALID_PARAMS = -32600, -32602
# That version has batches, which are not answered here. Its clients know the one before, too.
_WITH_BATCHES, _BEFORE = "2025-03-26", "2024-11-05"
_VERSION_OF_REQUEST = "io.modelcontextprotocol/protocolVersion"
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def fault(message: JSONRPCMessage, line: bytes) -> bytes | None:
    """Return the answer to a message that is wrong, as JSON; None for one that is right. `line` is the message as sent.

    An `initialize` for the version that has batches is changed to ask for the one before.
    """
    if isinstance(message, JSONRPCNotification):
        return _id_fault(line)
    if not isinstance(message, JSONRPCRequest):
        return None
    params = message.params or {}
    if message.method == "initialize" and params.get("protocolVersion") == _WITH_BATCHES:
        message.params = {**params, "protocolVersion": _BEFORE}
    problem = _problem(message.method, params)
    return None if problem is None else _error(message.id, _INVALID_PARAMS, f"Invalid params: {problem}")


def _id_fault(line: bytes) -> bytes | None:
    """A request whose id is none passes as a notification, and its client would wait for ever."""
    if b'"id"' not in line and b"\\u" not in line:
        return None
    sent = json.loads(line)
    if "id" not in sent:
        return None
    problem = f"Invalid request: id is {_kind(sent['id'])}; give a text or a whole number"
    return _error(None, _INVALID_REQUEST, problem)


def _problem(method: str, params: Mapping[str, Any]) -> str | None:
    meta = params.get("_meta", {})
    if not isinstance(meta, dict):
        return f"_meta is {_kind(meta)}; give an object, or leave it out"
    token = meta.get("progressToken", "")
    if isinstance(token, bool) or not isinstance(token, str | int):
        return f"_meta.progressToken is {_kind(token)}; give a text or a whole number, or leave it out"
    arguments = params.get("arguments")
    if method in ("tools/call", "prompts/get") and not isinstance(arguments, dict | None):
        return f"arguments is {_kind(arguments)}; give an object, not its JSON in a text"
    # A client of a version without sessions names its version in each request: for it there is no initialize at all, and
    # the SDK says so.
    greets = method == "initialize" and _VERSION_OF_REQUEST not in meta
    return _client_problem(params) if greets else None


def _client_problem(params: Mapping[str, Any]) -> str | None:
    client = params.get("clientInfo")
    if not isinstance(client, dict):
        return f"clientInfo is {_kind(client)}; give an object with name and version"
    for name in ("name", "version"):
        if not isinstance(client.get(name), str):
            return f"clientInfo.{name} is {_kind(client.get(name))}; give a text"
    return None


def _kind(value: object) -> str:
    if value is None:
        return "missing or null"
    if isinstance(value, float):
        return f"{value!r}, which is no whole number"
    return _KINDS[type(value)]


def _error(number: str | int | None, code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}).encode() + b"\n"
