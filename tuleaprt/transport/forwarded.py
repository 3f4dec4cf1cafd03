"""Whom a proxy speaks for: ``X-Forwarded-For``. It names the client in the log, to operators and to limits.

Each proxy appends the address of whoever it was asked by. So the header is read from its right end: as long
as the addresses are those of known proxies, these have written what is left of them, and the first other
address is the client. Whatever is further left the client may have written himself.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tuleaprt.errors import ConfigError

MAX_PROXIES = 10
LONGEST_ADDRESS = 45
LOCAL = (ip_address("127.0.0.1"), ip_address("::1"))

# Not from Autobahn's headers: it takes other octets, too, for the end of a line, so what the proxy has passed
# on as part of a value may be a header there.
_HEADER = re.compile(rb"(?<=\r\n)x-forwarded-for:([^\r\n]*)", re.IGNORECASE)

Address = IPv4Address | IPv6Address
Proxies = tuple[IPv4Network | IPv6Network, ...]


def known_proxies(texts: Iterable[str]) -> Proxies:
    """
    Raises:
        ConfigError: one of the texts is neither an address nor a network.
    """
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"[websocket] forwarded_for: {error}") from None


def client_of(peer: str | None, head: bytes, proxies: Proxies) -> str | None:
    """The address of the client that a peer names in the head of its request, if the peer is to be believed.

    ``peer`` is its address; None: a Unix socket, which is believed where a loopback address is.
    """
    addresses = LOCAL if peer is None else (_address(peer),)
    if not any(_is_known(it, proxies) for it in addresses):
        return None
    for text in reversed(b",".join(_HEADER.findall(head)).split(b",")[-MAX_PROXIES:]):
        address = _address(text.strip(b" \t").decode("latin-1"))
        if address is None:
            return None
        if not _is_known(address, proxies):
            return str(address)
    return None


def _is_known(address: Address | None, proxies: Proxies) -> bool:
    return address is not None and any(address in network for network in proxies)


def _address(text: str) -> Address | None:
    """None for what is no address; the zone of one may be any text, and names no client."""
    if len(text) > LONGEST_ADDRESS or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
