"""An https address, taken apart once: what is checked is what is connected to and asked."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from adapters.errors import FileRefused

_LONGEST = 8192
_SHOWN = 200
# Python's parser drops some of these, and browsers read the backslash as a slash: nobody is to read another address.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_PATH_CHARACTERS = "/?:@!$&'()*+,;=-._~%[]|^"


@dataclass(frozen=True)
class WebAddress:
    """The parts of an https address. `host` is a name in ASCII or an IP address without brackets."""

    url: str
    host: str
    port: int
    target: str

    @classmethod
    def read(cls, url: str) -> Self:
        """Return the parts of an address as people and pages write it. Raises FileRefused that says what is wrong."""
        url = url.strip()
        if len(url) > _LONGEST:
            raise _refused(url, f"has over {_LONGEST} characters")
        if _UNSAFE.search(url):
            raise _refused(url, "has a space, a backslash or a control character in it")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:  # brackets without an end, a port that is no number
            raise _refused(url, f"is no address ({str(error)[:100]})") from error
        if parts.scheme != "https" or not host:
            raise _refused(url, "is not an https address; only those are fetched")
        if "@" in parts.netloc:
            raise FileRefused("an address with a user or password in it is not fetched; save the picture to a file")
        if port == 0:
            raise _refused(url, "names port 0")
        host = _host(url, host, parts.netloc.startswith("["))
        asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(url, host, port or 443, quote(asked, safe=_PATH_CHARACTERS, errors="replace"))

    @property
    def authority(self) -> str:
        """The host as a request's Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        return _shown(self.url)

    def led_to(self, location: str) -> Self:
        """Return the address that a redirect of this one leads to. Raises FileRefused when it is none."""
        if not location.strip():
            raise FileRefused(f"{self.shown} redirects nowhere; save the picture to a file")
        try:
            return self.read(urljoin(self.url, location.strip()))
        except ValueError as error:
            raise _refused(location, f"is no address ({str(error)[:100]})") from error


def _host(url: str, host: str, bracketed: bool) -> str:
    """Return the host in ASCII. Raises FileRefused for what is neither a name nor an IP address."""
    if bracketed:
        try:
            address = IPv6Address(host)
        except ValueError as error:
            raise _refused(url, "has no IPv6 address in its brackets") from error
        if address.scope_id is not None:
            raise _refused(url, "names an interface of this machine, which is not a public address")
        return str(address)
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _refused(url, "has a host that is no name") from error
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise _refused(url, "has a host that is no name")
    return name


def _shown(url: str) -> str:
    return ascii(url[:_SHOWN])[1:-1] if not url[:_SHOWN].isprintable() else url[:_SHOWN]


def _refused(url: str, problem: str) -> FileRefused:
    return FileRefused(f"{_shown(url)} {problem}; check the address, or save the picture to a file")
