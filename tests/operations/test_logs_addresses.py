"""Which addresses count as one client."""

import pytest

from tuleaprt.operations.logs import network_of, network_of_peer


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1::", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_ipv6_counts_by_its_network_and_a_mapped_address_as_ipv4(host: str, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("tcp4:127.0.0.1:7", "127.0.0.1"),
        ("tcp6:2001:db8::1:7", "2001:db8::/64"),
        ("tcp6:[2001:db8::1]:7", "2001:db8::/64"),
        ("203.0.113.9 via tcp4:127.0.0.1:7", "203.0.113.9"),
        ("2001:db8::1 via unix:x", "2001:db8::/64"),
        ("unix:", "unix"),
        ("?", "?"),
    ],
)
def test_the_address_of_a_log_line(peer: str, network: str) -> None:
    assert network_of_peer(peer) == network
