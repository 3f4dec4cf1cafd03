"""Which addresses count as one client where a limit is shared between clients."""

from ipaddress import IPv6Address, IPv6Network, ip_address

PREFIX = 64
"""Of IPv6: a site gets a /64 at least (RFC 6177), so one host can have all addresses of it."""


def network_of(host: str) -> str:
    """``203.0.113.9``, ``2001:db8:0:1::/64``; an IPv4-mapped address is that IPv4 address.

    What is no address, such as the empty text of a Unix socket, stays as it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, PREFIX), strict=False))


def network_of_peer(peer: str) -> str:
    """The same of a peer as log lines name it: ``tcp4:127.0.0.1:7``, ``203.0.113.9 via tcp4:127.0.0.1:7``."""
    client, via, _ = peer.partition(" via ")
    if via:
        return network_of(client)
    kind, _, rest = peer.partition(":")
    return network_of(rest.rpartition(":")[0].strip("[]")) if kind in ("tcp4", "tcp6") else kind
