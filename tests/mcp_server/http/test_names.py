"""Host and Origin are compared whole, in whichever form they are written."""

import pytest

from adapters.errors import InvalidRequest
from mcp_server.http.names import Names, Place, named
from mcp_server.http.serving import Address

HERE = Address().answered()


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8765", "LocalHost:1", "localhost.", "localhost.:80", "127.0.0.1", "127.0.0.1:65535", "[::1]",
        "[::1]:80", "[0:0:0:0:0:0:0:1]", "[0000::0001]:9",
    ],
)  # fmt: skip
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert HERE.answer_to([host.encode()])
    assert HERE.let_in([f"http://{host}".encode()])
    assert HERE.let_in([f"HTTPS://{host}".encode()])


@pytest.mark.parametrize(
    "host",
    [
        "", "evil", "localhost:1@evil", "localhost:80.evil.example", "localhost:", "localhost:x", "localhost:-1", "localhost:65536",
        "localhost:80:80", "localhost..", ".localhost", "localhost/", "localhost?", "localhost#", "localhost\\evil", " localhost",
        "localhost ", "localhost\t", "localhost,evil", "evil,localhost", "user@localhost", "localhost%00", "localhost\x00",
        "127.0.0.1.evil.example", "127.0.0.1:80.evil", "127.1", "2130706433", "0x7f.0.0.1", "[::1", "::1", "[::1]evil", "[::1]:",
        "[::1]@evil", "[::1%25lo]", "[::ffff:127.0.0.1]", "[::2]", "[localhost]", "[]", "0.0.0.0", "localhost.evil.example",
        "l\u00f6calhost",
    ],
)  # fmt: skip
def test_anything_else_is_not(host: str) -> None:
    assert not HERE.answer_to([host.encode()])
    assert not HERE.let_in([f"http://{host}".encode()])


@pytest.mark.parametrize(
    "origin", ["", "null", "localhost", "ftp://localhost", "http:/localhost", "http://localhost/", "http://localhost http://evil", "file://"]
)  # fmt: skip
def test_an_origin_is_a_scheme_and_a_place(origin: str) -> None:
    assert not HERE.let_in([origin.encode()])


def test_there_is_one_host_and_at_most_one_origin() -> None:
    assert HERE.let_in([])
    assert not HERE.answer_to([])
    assert not HERE.answer_to([b"localhost", b"localhost"])
    assert not HERE.let_in([b"http://localhost", b"http://evil.example"])


def test_a_name_with_a_port_is_answered_at_that_port_only() -> None:
    names = Names([named("mac.local:8443"), named("fd00::1"), named("b\u00fccher.example")])
    assert names.answer_to([b"mac.local:8443"])
    assert not names.answer_to([b"mac.local"])
    assert not names.answer_to([b"mac.local:84433"])
    assert names.answer_to([b"[fd00::1]:80"])
    assert names.answer_to([b"xn--bcher-kva.example"])
    assert Place.read("[fd00::1]:80") == Place("[fd00::1]", 80)


@pytest.mark.parametrize("name", ["", "http://mac.local", "mac.local/", "a b", "mac.local:99999", "[::1", "*"])
def test_what_is_no_name_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no host name"):
        named(name)
