"""Which IP addresses belong to the internet: a table of our own, since Python's differs from one release to the next.

From the registries of special-purpose addresses (IANA, RFC 6890 and its updates), and from how networks carry IPv4
within IPv6. What is not known to be public is not.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_DENIED_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # behind the translation of a provider
            "127.0.0.0/8",  # this machine
            "168.63.129.16/32",  # Azure's own service, as machines in it see it
            "169.254.0.0/16",  # this link; clouds give out credentials there
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols' own
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112, answered nearby
            "192.52.193.0/24",  # multicast tunnels
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112, answered nearby
            "198.18.0.0/15",  # measurements
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# Only these are given out. Outside are this machine (::1), IPv4 within IPv6 (::/96, ::ffff:0:0:0/96, 64:ff9b::/96,
# 64:ff9b:1::/48), private (fc00::/7), link-local (fe80::/10), site-local (fec0::/10), multicast (ff00::/8).
_GIVEN_OUT_IPV6 = IPv6Network("2000::/3")
_DENIED_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols' own: Teredo, measurements, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: any IPv4 address, reached by a relay
            "2620:4f:8000::/48",  # AS112, answered nearby
            "3ffe::/16",  # given back
            "3fff::/20",  # documentation
        ),
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
# The middle of an ISATAP address: the IPv4 address of a tunnel's end comes after it.
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the internet, and not to this machine or a network around it.

    False as well for what is no IP address, and for one that names an interface (`%eth0`).
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _public_ipv4(found) if isinstance(found, IPv4Address) else _public_ipv6(found)


def _public_ipv4(address: IPv4Address) -> bool:
    return not any(address in network for network in _DENIED_IPV4)


def _public_ipv6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    within = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _MAPPED:
        return _public_ipv4(within)
    if address not in _GIVEN_OUT_IPV6 or any(address in network for network in _DENIED_IPV6):
        return False
    tunnel = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return not tunnel or _public_ipv4(within)
