"""Which addresses are the internet's: a table, tried at both ends of every range, and in every wrapping of IPv4."""

import ipaddress
import random

import pytest

from adapters.media.public_addresses import is_public

NOT_PUBLIC = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48",
    "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
    "ff00::/8", "4000::/3", "e000::/4",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.88.98.255", "192.169.0.0", "198.20.0.0", "223.255.255.255",
    "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2001:4860:4860::8888", "2a00:1450::1", "2003::1", "::ffff:8.8.8.8",
)  # fmt: skip
# Where IPv6 holds an IPv4 address: in its last 32 bits, or after these.
WRAPPED = (
    "::{}",
    "::ffff:{}",
    "::ffff:0:{}",
    "64:ff9b::{}",
    "64:ff9b:1::{}",
    "2a00::5efe:{}",
    "2a00::200:5efe:{}",
    "fe80::5efe:{}",
)


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_no_address_of_a_special_range_is_public(network: str) -> None:
    found, dice = ipaddress.ip_network(network), random.Random(3)
    inside = [0, found.num_addresses - 1, *(dice.randrange(found.num_addresses) for _ in range(200))]
    assert [str(found[number]) for number in inside if is_public(str(found[number]))] == []


@pytest.mark.parametrize("address", PUBLIC)
def test_what_lies_beside_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("wrapping", WRAPPED)
@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"])
def test_ipv4_in_ipv6_is_unwrapped(wrapping: str, inner: str) -> None:
    assert not is_public(wrapping.format(inner))


def test_6to4_and_teredo_hold_it_in_other_places() -> None:
    assert not is_public("2002:7f00:1::1")
    assert not is_public("2001:0:4136:e378:8000:63bf:80ff:fffe")


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "1.2.3.4.5", "::1%lo", "2a00::1%eth0", "[::1]", "8.8.8.8/8"]
)
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)
