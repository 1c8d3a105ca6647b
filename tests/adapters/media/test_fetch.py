"""Fetching from the web: public addresses only, at every hop, and no more than a picture."""

import contextlib
import http.server
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapters.errors import FileRefused
from adapters.media import fetch
from adapters.media.fetch import fetch_image


class Site(http.server.BaseHTTPRequestHandler):
    """Pictures, redirects and worse."""

    asked: list[str] = []
    over = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/a.png":
            self._answer(200, b"picture")
        elif self.path == "/loop":
            self._answer(302, b"", Location="/loop")
        elif self.path.startswith("/to?"):
            self._answer(302, b"", Location=self.path[4:])
        elif self.path == "/nowhere":
            self._answer(302, b"")
        elif self.path == "/endless":
            self._without_end(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 16))
        elif self.path == "/drips":
            self._without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.05)
        elif self.path == "/drips-its-head":
            self._without_end(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause=0.05)
        elif self.path == "/drips-a-redirect":
            self._without_end(b"HTTP/1.1 302 Found\r\nLocation: /", b"x", pause=0.05)
        elif self.path == "/silent":
            self._without_end(b"", b"", pause=0.05)
        else:
            self._answer(404, b"")

    def _without_end(self, head: bytes, piece: bytes, pause: float = 0) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(head)
            while not self.over.wait(pause) if pause else not self.over.is_set():
                self.wfile.write(piece)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    authority = trustme.CA()
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path.with_name("ca.pem"))
    return path


@pytest.fixture
def site(certificate: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    Site.asked.clear()
    Site.over.clear()
    yield (
        f"https://localhost:{server.server_port}",
        ssl.create_default_context(cafile=str(certificate.with_name("ca.pem"))),
    )
    Site.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def here(address: str) -> bool:
    """Stands in for "public": the test's own server lies on this machine, at one address of it."""
    return address in ("127.0.0.1", "::1")


def test_a_picture_is_fetched(site: tuple[str, ssl.SSLContext]) -> None:
    url, context = site
    assert fetch_image(f"{url}/a.png", here, context) == b"picture"
    assert fetch_image(f"{url}/to?/a.png", here, context) == b"picture"


def test_a_redirect_to_another_address_is_refused_before_it_is_asked(site: tuple[str, ssl.SSLContext]) -> None:
    url, context = site
    for target in ("https://127.0.0.2/a.png", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data"):
        with pytest.raises(FileRefused, match="not a public address"):
            fetch_image(f"{url}/to?{target}", here, context)
    with pytest.raises(FileRefused, match="not an https address"):
        fetch_image(f"{url}/to?http://localhost/a.png", here, context)
    assert all(path.startswith("/to?") for path in Site.asked)


def test_endless_redirects_and_endless_bodies_end(
    site: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, context = site
    with pytest.raises(FileRefused, match="redirects more than"):
        fetch_image(f"{url}/loop", here, context)
    monkeypatch.setattr(fetch, "MOST_BYTES", 1 << 20)
    with pytest.raises(FileRefused, match="bytes"):
        fetch_image(f"{url}/endless", here, context)


def test_what_is_not_there_is_said(site: tuple[str, ssl.SSLContext]) -> None:
    url, context = site
    with pytest.raises(FileRefused, match="answered 404"):
        fetch_image(f"{url}/missing", here, context)
    with pytest.raises(FileRefused, match="cannot be fetched"):
        fetch_image(f"{url}/a.png", here, None)  # a certificate that nobody trusts


@pytest.mark.parametrize("path", ["/drips", "/drips-its-head", "/drips-a-redirect", "/silent", "/to?/to?/drips"])
def test_an_answer_that_drips_ends_with_the_one_deadline(
    path: str, site: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, context = site
    monkeypatch.setattr(fetch, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(FileRefused, match=r"gave no answer in 0\.5 seconds"):
        fetch_image(f"{url}{path}", here, context)
    assert time.monotonic() - began < 5


def test_a_handshake_and_a_look_up_that_never_end_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FileRefused, match="gave no answer"):
        fetch_image(f"https://127.0.0.1:{silent.getsockname()[1]}/", here)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [][over.wait(30) :])
    with pytest.raises(FileRefused, match="gave no answer"):
        fetch_image("https://slow.example/")
    over.set()


def test_a_name_is_looked_up_once_and_connected_to_as_it_was_checked(
    site: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, context = site
    port, looked = int(url.split(":")[2]), list[str]()

    def changing(host: str, *_: Any, **__: Any) -> list[Any]:
        """At first what may be asked; from the second time on what may not."""
        looked.append(host)
        address = "127.0.0.1" if len(looked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = socket.create_connection
    reached = list[str]()
    monkeypatch.setattr(socket, "create_connection", lambda to, *a, **k: (reached.append(to[0]), real(to, *a, **k))[1])
    monkeypatch.setattr(fetch.socket, "getaddrinfo", changing)
    with contextlib.suppress(FileRefused):
        fetch_image(f"{url}/a.png", here, context)
    assert looked[0] == "localhost"
    assert reached == ["127.0.0.1"]


def test_the_next_address_of_a_name_is_tried(site: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> None:
    url, context = site
    port, real = int(url.split(":")[2]), socket.getaddrinfo

    def two(host: str, *rest: Any, **named: Any) -> list[Any]:
        if host != "localhost":
            return real(host, *rest, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert fetch_image(f"{url}/a.png", lambda address: address.startswith("127."), context) == b"picture"


def test_a_redirect_without_an_address_is_told(site: tuple[str, ssl.SSLContext]) -> None:
    url, context = site
    with pytest.raises(FileRefused, match="redirects nowhere"):
        fetch_image(f"{url}/nowhere", here, context)
    for target in ("https://[", "https://localhost:x/", "//a\\b/", "https://u:p@localhost/"):
        with pytest.raises(FileRefused, match=r"address"):
            fetch_image(f"{url}/to?{target}", here, context)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.png", "https://localhost/a.png", "https://[::1]/a.png", "https://10.1.2.3/", "https://0.0.0.0/",
        "https://192.168.1.1/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/", "https://2130706433/",
        "https://127.1/", "https://[fe80::1]/", "https://100.64.0.1/", "https://224.0.0.1/",
        "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://0x7f.1/", "https://017700000001/",
        "https://\uff11\uff12\uff17.0.0.1/", "https://127\u30020\u30020\u30021/", "HTTPS://LOCALHOST./",
    ],
)  # fmt: skip
def test_addresses_around_this_machine_are_refused(url: str) -> None:
    with pytest.raises(FileRefused, match=r"not a public address|no host"):
        fetch_image(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png", "ftp://example.com/", "file:///etc/passwd", "https:///a", "https://", "https:",
        "https://u:p@example.com/", "https://@example.com/", "https://example.com\\@127.0.0.1/", "", "https://exa mple.com/",
        "https://example.com:99999/", "https://example.com:x/", "https://example.com:0/", "https://[::1/", "https://[1.2.3.4]/",
        "https://[v1.x]/", "https://[::1%25lo]/", "https://\x00/", "https://a\x00b/", "https://..", "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 200 + "example/", "https://\ud800.example/", "https://example.com/" + "a" * 9000, "https://a\tb/",
        "https://a\r\nHost: b/", "https://xn--\u00e4.example/", "https://exa%6dple.com/", "https://\u2100.example/", "https://a_b..c/",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_told(url: str) -> None:
    with pytest.raises(FileRefused, match="address"):
        fetch_image(url)


def test_no_form_of_an_address_gives_anything_but_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def numbers_only(host: str, port: int, **named: Any) -> list[Any]:
        return real(host, port, flags=socket.AI_NUMERICHOST, **named)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_only)
    dice = random.Random(17)
    pieces = [
        "https://", "HTTPS://", "//", "/", "\\", "@", ":", "::", "[", "]", "%", "%00", "?", "#", ".", "..", "\x00", "\r\n", " ",
        "\ud800", "\u00e4", "\u3002", "\uff0f", "\u2100", "\u200b", "example.com", "localhost", "127.1", "0x7f000001", "::1",
        "fe80::1%lo", "64:ff9b::1", "443", "0", "99999", "-1", "1e3", "xn--", "a" * 64, "data:", "\u0661", "&", "=", "~",
    ]  # fmt: skip
    for _ in range(4000):
        url = dice.choice(["https://", "https://", ""]) + "".join(dice.choices(pieces, k=dice.randint(0, 6)))
        with pytest.raises(FileRefused) as refused:
            fetch_image(url, lambda _: False)
        assert len(str(refused.value)) < 1000
