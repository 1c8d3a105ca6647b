"""What a client starts: bytes between its stdio and the host's socket. Standard library only.

The host is started when there is none. The first line to it says what only this process knows: version, working
directory, options; the host answers with one line. From there on every line is MCP and passes unchanged.

When the host dies, the client keeps its session: the shim reaches a new host, repeats the opening handshake, asks again
what is safe to ask twice, and answers any other call that was under way with an error that says what to do. Two threads:
the main one carries the client's lines to the host and owns the requests that are under way; the other carries the
host's lines back, and is the one that reconnects.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from adapters import __version__
from adapters.sockets import LINE_LIMIT, connect_or_start, socket_path
from mcp_server.options import OptionError, as_json, hello, read_options
from mcp_server.request_id import request_id

_T = TypeVar("_T")

_PATIENCE_SECONDS = 30.0
# So many new hosts in so many seconds, and it is the host that is broken.
_RECONNECTS, _WITHIN_SECONDS = 5, 60.0
_LAST_WORDS_SECONDS = 5.0
# A call that was lost so soon is made again; after that its client's patience would not last.
_YOUNG_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Run until the client goes. Gives the exit code: 2 for wrong options, 1 when no host can be reached."""
    try:
        options = read_options(arguments)
        if options.get("standalone"):
            from mcp_server.host.standalone import run

            return run(hello(options))
        if sys.stdin.isatty():
            _say("waiting for an MCP client on standard input; a person may want `mcp-server-mlx demo` or `--help`")
        return Shim(hello(options)).run()
    except (OptionError, Refused) as error:
        _say(str(error))
        return 2
    except OSError as error:  # folders, sockets, logs: whatever of them cannot be had
        _say(f"the host could not be reached: {error}. `mcp-server-mlx status` shows what is running")
        return 1


class Refused(Exception):
    """The host does not accept this shim's options."""


class Shim:
    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._sending = threading.Lock()  # held to send to the host, and throughout a reconnection
        self._noting = threading.Lock()  # held for moments only: an answer never waits for a large line to be sent
        self._answered = threading.Condition(self._noting)
        self._host, self._incoming = self._greet()
        self._opening: list[bytes] = []  # the lines of the initialize handshake, to repeat to a new host
        self._under_way: dict[str, Request] = {}  # by the request's id, as JSON
        self._answered_early: set[str] = set()  # answers that came between a request's sending and its noting
        self._read_only: set[str] = set()  # the tools that change nothing, as the host lists them
        self._undelivered: list[bytes] = []  # lines that no host has read
        self._reconnected: list[float] = []
        self._client_gone = False

    def run(self) -> int:
        """Carry lines until the client ends, or no host can be had."""
        code: list[int] = []
        back = threading.Thread(target=lambda: code.append(_or_end(self._carry_back)), daemon=True)
        back.start()
        forward = threading.Thread(target=_or_end, args=(self._carry_forward,), daemon=True)
        forward.start()
        back.join()
        return code[0] if code else 1

    # --- the host

    def _greet(self) -> tuple[socket.socket, "Lines"]:
        """Return a connection to a host that has accepted the greeting.

        A host that is just ending is asked once more.
        """
        path = socket_path("host", __version__)
        for _ in range(3):
            connection = connect_or_start(path, start_host, _PATIENCE_SECONDS)
            incoming = Lines(connection.fileno())
            try:
                connection.sendall(self._greeting)
                answer = incoming.next()
            except OSError:
                answer = None
            if answer:
                if not answer.startswith(b'{"ok"'):
                    raise Refused(_parsed(answer).get("error", "the host gave no reason"))
                return connection, incoming
            connection.close()
        raise ConnectionError("it ended three times as it was reached")

    def _reconnect(self) -> None:
        """Reach a new host and bring the session to where it was. Raises ConnectionError when hosts keep dying."""
        now = time.monotonic()
        self._reconnected = [moment for moment in self._reconnected if now - moment < _WITHIN_SECONDS] + [now]
        if len(self._reconnected) > _RECONNECTS:
            raise ConnectionError(f"it ended {_RECONNECTS} times within a minute")
        self._host.close()
        self._host, self._incoming = self._greet()
        if self._opening:
            self._host.sendall(self._opening[0])
            if self._incoming.next() is None:
                raise ConnectionError("it ended during the handshake")
            for line in self._opening[1:]:
                self._host.sendall(line)
        undelivered, self._undelivered = self._undelivered, []
        for number, request in list(self._under_way.items()):
            if request.line in undelivered or (request.method == "initialize" and self._opening):
                continue
            if self._may_repeat(request):
                request.repeated = True
                self._host.sendall(request.line)
            else:
                del self._under_way[number]
                _write(_lost_call(number, request.line))
        for line in undelivered:
            self._host.sendall(line)
        _say("the host had ended; a new one took over")

    def _may_repeat(self, request: "Request") -> bool:
        """Return True for what changes nothing. A call is repeated once, and only while its client is still patient."""
        if request.method != "tools/call":
            return True
        young = time.monotonic() - request.sent < _YOUNG_SECONDS
        return young and not request.repeated and _tool_name(request.line) in self._read_only

    # --- the client's lines

    def _carry_forward(self) -> None:
        lines = Lines(0)
        while (line := lines.next()) is not None:
            if len(line) > LINE_LIMIT:
                _write(
                    _error(
                        (request_id(line) or b"null").decode(),
                        -32600,
                        f"the message is longer than {LINE_LIMIT >> 20} MiB; give large inputs by path",
                    )
                )
                continue
            with self._sending:
                try:
                    self._host.sendall(line)
                except OSError:
                    # The host has ended. The thread that reads sees it too, and brings the line to the next one.
                    self._undelivered.append(line)
                self._note_request(line)  # after it was sent: the host is at work meanwhile
        self._await_answers()
        self._client_gone = True
        with self._sending:
            try:
                self._host.shutdown(socket.SHUT_WR)
            except OSError:
                os._exit(0)
        time.sleep(_LAST_WORDS_SECONDS)
        os._exit(0)

    def _await_answers(self) -> None:
        """Wait for what was asked before standard input ended, as a pipe's does, but not longer than the last words."""
        with self._noting:
            sent = max((request.sent for request in self._under_way.values()), default=0.0)
            left = sent + _LAST_WORDS_SECONDS - time.monotonic()
            self._answered.wait_for(lambda: not self._under_way, max(0.0, left))

    def _note_request(self, line: bytes) -> None:
        message = _parsed(line)
        method = message.get("method")
        if not isinstance(method, str):
            return
        if "id" in message:
            number = _number(message["id"])
            with self._noting:
                if number in self._answered_early:
                    self._answered_early.remove(number)
                else:
                    self._under_way[number] = Request(method, line)
            if method == "initialize":
                self._opening = [line]
        elif method == "notifications/initialized" and self._opening:
            self._opening = [self._opening[0], line]

    # --- the host's lines

    def _note_answer(self, line: bytes) -> None:
        message = _parsed(line)
        if message.get("id") is None or "method" in message:
            return
        number = _number(message["id"])
        with self._noting:
            if self._under_way.pop(number, None) is None:
                self._answered_early.add(number)
            self._answered.notify_all()
        result = message.get("result")
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            self._note_tools(result["tools"])

    def _note_tools(self, tools: list[dict]) -> None:
        for tool in tools:
            if tool.get("annotations", {}).get("readOnlyHint"):
                self._read_only.add(tool["name"])

    def _carry_back(self) -> int:
        while True:
            while (line := self._incoming.next()) is not None:
                self._note_answer(line)
                if not _write(line):
                    return 0
            if self._client_gone:
                return 0
            try:
                with self._sending, self._noting:
                    self._reconnect()
            except (OSError, Refused) as error:
                _say(
                    f"the host ended and could not be reached again: {error}; its log is in the folder that `mcp-server-mlx status` names"
                )
                return 1


class Request:
    """A request of the client's that has no answer yet."""

    def __init__(self, method: str, line: bytes) -> None:
        self.method, self.line, self.sent, self.repeated = method, line, time.monotonic(), False


class Lines:
    """Lines from a file descriptor, each with its end; one over the limit comes as its first part, the rest dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._buffer, self._searched = descriptor, bytearray(), 0

    def next(self) -> bytes | None:
        """Return the next line, or None at the end. An unfinished last line is no line."""
        dropping = b""
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if len(self._buffer) > LINE_LIMIT:
                dropping, self._searched = bytes(self._buffer[: LINE_LIMIT + 1]), 0
                self._buffer.clear()
            try:
                piece = os.read(self._descriptor, 1 << 16)
            except OSError:
                return None
            if not piece:
                return None
            self._buffer += piece
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        return dropping or line


def start_host():
    """Start a host in a session of its own. Return what tells why it ended."""
    import subprocess  # here only: most starts find a host

    from adapters.places import open_log
    from mcp_server.host.launch import host_command

    log = open_log("host")
    process = subprocess.Popen(
        host_command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
    )
    os.close(log)

    def ended() -> str | None:
        code = process.poll()
        return None if code in (None, 0) else f"it ended with code {code}; its log says why"

    return ended


def _or_end(carry: Callable[[], _T]) -> _T:
    """Carry lines. A thread that fails would leave its client waiting without a word: it ends the process with one."""
    try:
        return carry()
    except Exception as error:
        _say(f"carrying messages failed ({type(error).__name__}: {str(error)[:300]}); connect the client again")
        os._exit(1)


def _number(number: object) -> str:
    """Return a request's id as JSON."""
    import json

    return json.dumps(number)


def _parsed(line: bytes) -> dict:
    import json

    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # the host says what is wrong with it
        return {}
    return message if isinstance(message, dict) else {}


def _tool_name(line: bytes) -> str:
    """Return the tool that a call names."""
    return str(_parameters(line).get("name", "the tool"))


def _parameters(line: bytes) -> dict:
    parameters = _parsed(line).get("params")
    return parameters if isinstance(parameters, dict) else {}


def _lost_call(number: str, line: bytes) -> bytes:
    """Return the answer to a tool call that died with its host: an error that the calling model reads, not a protocol
    error.
    """
    meta = _parameters(line).get("_meta")
    text = (
        f"The server's host process ended while {_tool_name(line)} was running, and a new one took over. "
        "Work that was handed over as a job goes on: list-library with kind 'jobs' shows it. Otherwise call the tool again."
    )
    import json

    result = {"content": [{"type": "text", "text": text}], "isError": True}
    if isinstance(meta, dict) and "io.modelcontextprotocol/protocolVersion" in meta:
        result["resultType"] = "complete"
    return b'{"jsonrpc":"2.0","id":' + number.encode() + b',"result":' + json.dumps(result).encode() + b"}\n"


def _error(number: str, code: int, message: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":{number},"error":{{"code":{code},"message":{as_json(message)}}}}}\n'.encode()


_writing = threading.Lock()


def _write(line: bytes) -> bool:
    """Write a line to the client; False when it is gone."""
    try:
        with _writing:
            while line:
                line = line[os.write(1, line) :]
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"mcp-server-mlx: {text}\n")
    sys.stderr.flush()
