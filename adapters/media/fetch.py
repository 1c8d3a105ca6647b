"""Fetching a picture from the web, where that is switched on: https only, from public addresses only, at every hop.

A name is looked up once, what it stands for is checked, and that very address is connected to: a name that changes
its address in between leads nowhere else. One deadline holds for all of it, from the first look-up to the last byte.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

import httpcore

from adapters.errors import FileRefused
from adapters.media.images import MOST_BYTES
from adapters.media.public_addresses import is_public
from adapters.media.web_address import WebAddress

MOST_REDIRECTS = 5
SECONDS = 20.0
_REDIRECTS = (301, 302, 303, 307, 308)


def fetch_image(
    url: str, allowed: Callable[[str], bool] = is_public, ssl_context: ssl.SSLContext | None = None
) -> bytes:
    """Return the bytes at an https address. Takes SECONDS at most.

    Raises FileRefused that says which hop was refused, and why.
    """
    address, deadline = WebAddress.read(url), _Deadline(SECONDS)
    # Closed by hand: a pool that a failure leaves in the middle of an answer refuses to end quietly.
    pool = httpcore.ConnectionPool(network_backend=_Guarded(allowed, deadline), ssl_context=ssl_context)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            answer = _answer(pool, address, deadline)
            if isinstance(answer, bytes):
                return answer
            address = address.led_to(answer)
    finally:
        pool.close()
    raise FileRefused(f"{address.shown} redirects more than {MOST_REDIRECTS} times; save the picture to a file")


def _answer(pool: httpcore.ConnectionPool, address: WebAddress, deadline: "_Deadline") -> bytes | str:
    """Return the body, or where a redirect leads. Raises FileRefused for each way in which there is neither."""
    try:
        return _get(pool, address, deadline)
    except httpcore.TimeoutException as error:
        raise FileRefused(
            f"{address.shown} gave no answer in {SECONDS:g} seconds; save the picture to a file"
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        raise FileRefused(
            f"{address.shown} cannot be fetched ({str(error)[:200]}); save the picture to a file"
        ) from error


def _get(pool: httpcore.ConnectionPool, address: WebAddress, deadline: "_Deadline") -> bytes | str:
    headers = [
        ("Host", address.authority),
        ("User-Agent", "mcp-server-mlx"),
        ("Accept", "image/*"),
        ("Accept-Encoding", "identity"),
    ]
    url = httpcore.URL(scheme="https", host=address.host, port=address.port, target=address.target)
    with pool.stream("GET", url, headers=headers, extensions={"timeout": {"pool": deadline.left()}}) as response:
        if response.status in _REDIRECTS:
            return _location(response)
        if response.status != 200:
            raise FileRefused(f"{address.shown} answered {response.status}; save the picture to a file")
        content = bytearray()
        for piece in response.iter_stream():
            content += piece
            if len(content) > MOST_BYTES:
                raise FileRefused(f"{address.shown} has over {MOST_BYTES} bytes; scale the picture down")
        return bytes(content)


def _location(response: httpcore.Response) -> str:
    led = next((value for name, value in response.headers if name.lower() == b"location"), b"")
    try:
        return led.decode()
    except UnicodeDecodeError:
        return led.decode("latin-1")


class _Deadline:
    """The moment after which nothing is waited for."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, error: type[Exception] = httpcore.ReadTimeout) -> float:
        """Return the seconds that are left, more than none. Raises the error when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise error("the time is over")
        return left


class _Guarded(httpcore.SyncBackend):
    """Connects to allowed addresses only, and waits until the deadline only."""

    def __init__(self, allowed: Callable[[str], bool], deadline: _Deadline) -> None:
        self._allowed, self._deadline = allowed, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        addresses = _looked_up(host, port, self._deadline.left(httpcore.ConnectTimeout))
        if refused := [address for address in addresses if not self._allowed(address)]:
            raise FileRefused(
                f"{host} stands for {refused[0]}, which is not a public address; only those are fetched. Save the picture to a file"
            )
        # One that does not answer must leave time for the next.
        for number, address in enumerate(addresses, 1):
            patience = self._deadline.left(httpcore.ConnectTimeout) / (len(addresses) - number + 1)
            try:
                stream = super().connect_tcp(address, port, patience, local_address, socket_options)
                return _Timed(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise FileRefused(f"{host} stands for no address; check it, or save the picture to a file")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise FileRefused("sockets of this machine are not fetched from")


class _Timed(httpcore.NetworkStream):
    """A connection whose every step takes what is left of one deadline: an answer that drips ends with it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Self:
        del timeout
        left = self._deadline.left(httpcore.ConnectTimeout)
        return type(self)(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _looked_up(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host, in the system's order. Raises FileRefused when there are none in time."""
    found, failed = list[str](), list[Exception]()

    def look() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, ValueError) as error:
            failed.append(error)

    # In a thread that may be left behind: a resolver keeps to no deadline of ours.
    looking = threading.Thread(target=look, name="look-up", daemon=True)
    looking.start()
    looking.join(seconds)
    if failed:
        raise FileRefused(f"there is no host {host!r} ({failed[0]}); check the address") from failed[0]
    if looking.is_alive():
        raise httpcore.ConnectTimeout("the name was not looked up in time")
    return found
