"""Fetching from the web: public addresses only, at every hop, and no more than a picture."""

import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from adapters.errors import FileRefused
from adapters.media import fetch
from adapters.media.fetch import fetch_image, is_public


class Site(http.server.BaseHTTPRequestHandler):
    """Pictures, redirects and worse."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/a.png":
            self._answer(200, b"picture")
        elif self.path == "/loop":
            self._answer(302, b"", Location="/loop")
        elif self.path.startswith("/to?"):
            self._answer(302, b"", Location=self.path[4:])
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                return
        else:
            self._answer(404, b"")

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
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Site.asked.clear()
    yield (
        f"https://localhost:{server.server_port}",
        ssl.create_default_context(cafile=str(certificate.with_name("ca.pem"))),
    )
    server.shutdown()
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


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.png", "https://localhost/a.png", "https://[::1]/a.png", "https://10.1.2.3/", "https://0.0.0.0/",
        "https://192.168.1.1/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/", "https://2130706433/",
        "https://127.1/", "https://[fe80::1]/", "https://100.64.0.1/", "https://224.0.0.1/",
    ],
)  # fmt: skip
def test_addresses_around_this_machine_are_refused(url: str) -> None:
    with pytest.raises(FileRefused, match=r"not a public address|no host"):
        fetch_image(url)


@pytest.mark.parametrize(
    "url",
    ["http://example.com/a.png", "ftp://example.com/", "file:///etc/passwd", "https:///a", "https://u:p@example.com/"],
)
def test_only_plain_https_is_fetched(url: str) -> None:
    with pytest.raises(FileRefused, match=r"https|password"):
        fetch_image(url)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert not any(is_public(str(address)) for address in ipaddress.ip_network("192.168.0.0/30"))
