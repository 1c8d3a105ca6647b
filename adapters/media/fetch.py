"""Fetching a picture from the web, where that is switched on: https only, from public addresses only, at every hop.

A name is looked up once, what it stands for is checked, and that very address is connected to: a name that changes
its address in between leads nowhere else.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from adapters.errors import FileRefused
from adapters.media.images import MOST_BYTES

MOST_REDIRECTS = 5
SECONDS = 20.0
_REDIRECTS = (301, 302, 303, 307, 308)


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the internet, and not to this machine or a network around it."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast


def fetch_image(
    url: str, allowed: Callable[[str], bool] = is_public, ssl_context: ssl.SSLContext | None = None
) -> bytes:
    """Return the bytes at an https address. Raises FileRefused that says which hop was refused, and why."""
    until = time.monotonic() + SECONDS
    with httpcore.ConnectionPool(network_backend=_Guarded(allowed), ssl_context=ssl_context) as pool:
        for _ in range(MOST_REDIRECTS + 1):
            _check(url)
            try:
                answer = _get(pool, url, until)
            except httpcore.TimeoutException as error:
                raise FileRefused(
                    f"{url[:200]} gave no answer in {SECONDS:g} seconds; save the picture to a file"
                ) from error
            except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
                raise FileRefused(
                    f"{url[:200]} cannot be fetched ({str(error)[:200]}); save the picture to a file"
                ) from error
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
    raise FileRefused(f"{url[:200]} redirects more than {MOST_REDIRECTS} times; save the picture to a file")


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise FileRefused(f"{url[:200]} is not an https address; only those are fetched. Save the picture to a file")
    if parts.username or parts.password:
        raise FileRefused("an address with a password in it is not fetched; save the picture to a file")


def _get(pool: httpcore.ConnectionPool, url: str, until: float) -> bytes | str:
    """Return the body, or where a redirect leads."""
    headers = {"User-Agent": "mcp-server-mlx", "Accept": "image/*", "Accept-Encoding": "identity"}
    timeouts = {name: max(0.1, until - time.monotonic()) for name in ("connect", "read", "write", "pool")}
    with pool.stream("GET", url, headers=list(headers.items()), extensions={"timeout": timeouts}) as response:
        if response.status in _REDIRECTS:
            location = dict(response.headers).get(b"location") or dict(response.headers).get(b"Location", b"")
            return location.decode("latin-1")
        if response.status != 200:
            raise FileRefused(f"{url[:200]} answered {response.status}; save the picture to a file")
        content = bytearray()
        for piece in response.iter_stream():
            content += piece
            if len(content) > MOST_BYTES:
                raise FileRefused(f"{url[:200]} has over {MOST_BYTES} bytes; scale the picture down")
            if time.monotonic() > until:
                raise FileRefused(f"{url[:200]} took over {SECONDS:g} seconds; save the picture to a file")
        return bytes(content)


class _Guarded(httpcore.SyncBackend):
    """Connects to allowed addresses only."""

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise FileRefused(f"there is no host {host!r} ({error}); check the address") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        refused = [address for address in addresses if not self._allowed(address)]
        if refused:
            raise FileRefused(
                f"{host} stands for {refused[0]}, which is not a public address; only those are fetched. Save the picture to a file"
            )
        return super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise FileRefused("sockets of this machine are not fetched from")
