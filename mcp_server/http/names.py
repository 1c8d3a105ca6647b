"""The names by which HTTP is asked for: Host and Origin headers, taken apart and compared whole."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self

from adapters.errors import InvalidRequest

_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::(?P<port>[0-9]{1,5}))?")
_PAGE = re.compile(r"https?://(?P<place>[^/]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A host, lower case and without a last dot, and a port where one is named."""

    host: str
    port: int | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what a Host header names; None when it is anything but a host and, at most, a port."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return None
        host, port = found["host"].lower(), int(found["port"]) if found["port"] else None
        if host.startswith("["):
            try:
                host = f"[{IPv6Address(host[1:-1])}]"
            except ValueError:
                return None
        elif not (host := host.removesuffix(".")):
            return None
        return None if port is not None and port > 65535 else cls(host, port)


def named(name: str) -> Place:
    """Return the place that a person names: a host name, an IP address, with a port or without.

    Raises InvalidRequest for anything else.
    """
    written = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
    try:
        place = Place.read(written if written.isascii() else written.encode("idna").decode("ascii"))
    except UnicodeError:
        place = None
    if place is None:
        raise InvalidRequest(f"{name[:200]!r} is no host name; give one as in --http-host mac.local")
    return place


class Names:
    """The places that are answered: those without a port at any port."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = frozenset(places)

    def answer_to(self, hosts: list[bytes]) -> bool:
        """Return whether the Host headers of a request are one, and name one of the places."""
        return len(hosts) == 1 and self._has(hosts[0].decode("latin-1"))

    def let_in(self, origins: list[bytes]) -> bool:
        """Return whether the Origin headers of a request are none, or one of a page of one of the places."""
        if not origins:
            return True
        page = _PAGE.fullmatch(origins[0].decode("latin-1"))
        return len(origins) == 1 and page is not None and self._has(page["place"])

    def _has(self, text: str) -> bool:
        place = Place.read(text)
        return place is not None and (place in self._places or Place(place.host) in self._places)
