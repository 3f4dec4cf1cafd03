"""Packets of Engine.IO 4 and socket.io 5, text only, as bytes.

::

    Engine.IO   <type>[<data>]                                   2        3probe        4<socket.io packet>
    socket.io   <type>[<namespace>,][<ack id>][<JSON>]           0/testmanagement,      2["token",{…}]

The packets of one polling body are separated by octet 0x1E. Binary packets are refused, because Tuleap's
pages send none. Sources: Engine.IO protocol 4, "Packet types" and "Packet encoding"; socket.io protocol 5,
"Packet encoding".
"""

import re
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from tuleaprt.errors import MalformedPacket
from tuleaprt.wamp.publication import JsonText

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
"""The types of Engine.IO packets."""

PROBE = b"probe"
"""The data of the ping and the pong that test a WebSocket before the upgrade."""

SEPARATOR = b"\x1e"

MAX_PACKETS = 64
"""The most packets of one polling body. A page sends two or three at a time."""

MAX_NAMESPACE = 100
"""The longest namespace, in bytes. CONNECT_ERROR repeats it."""

_RESERVED = {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}


class Type(IntEnum):
    """The types of socket.io packets."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class Packet(NamedTuple):
    """A socket.io packet. ``payload`` is decoded JSON; None: there is none."""

    type: Type
    namespace: str
    payload: Any


_PACKET = re.compile(rb"([0-6])(?:(/[^,]*+)(?:,|\Z))?([0-9]{0,15}+)(.*)", re.DOTALL)


def split(body: bytes) -> list[bytes]:
    """The Engine.IO packets of a polling body.

    Raises:
        MalformedPacket: there are too many, or one of them is empty or binary.
    """
    packets = body.split(SEPARATOR, MAX_PACKETS)
    if len(packets) > MAX_PACKETS:
        raise MalformedPacket(f"more than {MAX_PACKETS} packets in one body")
    for packet in packets:
        check(packet)
    return packets


def check(packet: bytes) -> None:
    """
    Raises:
        MalformedPacket: this is not an Engine.IO packet.
    """
    if not b"0" <= packet[:1] <= b"6":
        raise MalformedPacket("not a text packet of Engine.IO")


def decode(data: bytes) -> Packet:
    """The socket.io packet in an Engine.IO message.

    Raises:
        MalformedPacket: this is not one, or its payload does not fit its type. The text quotes nothing.
    """
    match = _PACKET.fullmatch(data)
    if match is None:
        raise MalformedPacket("not a packet of socket.io")
    type, namespace = Type(int(match[1])), match[2] or b"/"
    if type in (Type.BINARY_EVENT, Type.BINARY_ACK):
        raise MalformedPacket("binary packets are not accepted")
    if len(namespace) > MAX_NAMESPACE or not namespace.isascii():
        raise MalformedPacket("the namespace is too long, or not ASCII")
    try:
        payload = msgspec.json.decode(match[4]) if match[4] else None
    except (ValueError, RecursionError):
        raise MalformedPacket("the payload is not JSON") from None
    has_id = bool(match[3])
    if (has_id and type not in (Type.EVENT, Type.ACK)) or not _fits(type, payload, is_absent=not match[4]):
        raise MalformedPacket(f"the payload is not that of {type.name}")
    return Packet(type, namespace.decode(), payload)


def _fits(type: Type, payload: Any, *, is_absent: bool) -> bool:
    if type is Type.CONNECT:
        return is_absent or isinstance(payload, dict)
    if type is Type.DISCONNECT:
        return is_absent
    if type is Type.EVENT:
        return (
            isinstance(payload, list)
            and bool(payload)
            and isinstance(payload[0], str)
            and payload[0] not in _RESERVED
        )
    # CONNECT_ERROR is a packet of servers.
    return type is Type.ACK and isinstance(payload, list)


def _text(value: JsonText) -> msgspec.Raw:
    return msgspec.Raw(value.text)


_json = msgspec.json.Encoder(enc_hook=_text).encode


def message(type: Type, namespace: str, payload: Any = None) -> bytes:
    """A socket.io packet in an Engine.IO message; ``payload`` None: without JSON."""
    place = b"" if namespace == "/" else namespace.encode() + b","
    return b"4%d%b%b" % (type, place, b"" if payload is None else _json(payload))


def event(namespace: str, name: str, data: Any) -> bytes:
    """An event with one argument."""
    return message(Type.EVENT, namespace, (name, data))


def opening(sid: str, *, upgrades: list[str], interval: float, timeout: float, longest: int) -> bytes:
    """The first packet of a session (Engine.IO protocol 4, "Handshake"). Times are in seconds, ``longest`` is
    in bytes.
    """
    handshake = {
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": round(1000 * interval),
        "pingTimeout": round(1000 * timeout),
        "maxPayload": longest,
    }
    return OPEN + _json(handshake)
