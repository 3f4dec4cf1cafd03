"""Packets as bytes: what is read, what is refused, and that other codecs agree."""

import json
from contextlib import suppress
from typing import Any

import engineio.packet
import engineio.payload
import pytest
import socketio.packet
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.errors import MalformedPacket
from tuleaprt.socketio import packets
from tuleaprt.socketio.packets import MAX_NAMESPACE, MAX_PACKETS, Packet, Type
from tuleaprt.wamp.publication import JsonText


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(Type.CONNECT, "/", None)),
        ('0{"token":"x"}', Packet(Type.CONNECT, "/", {"token": "x"})),
        ("0/testmanagement,", Packet(Type.CONNECT, "/testmanagement", None)),
        ("0/testmanagement", Packet(Type.CONNECT, "/testmanagement", None)),
        ('0/testmanagement,{"a":1}', Packet(Type.CONNECT, "/testmanagement", {"a": 1})),
        ("1", Packet(Type.DISCONNECT, "/", None)),
        ("1/testmanagement,", Packet(Type.DISCONNECT, "/testmanagement", None)),
        ('2["token",{"token":"x"}]', Packet(Type.EVENT, "/", ["token", {"token": "x"}])),
        ('2/testmanagement,["a"]', Packet(Type.EVENT, "/testmanagement", ["a"])),
        ('212["with an id"]', Packet(Type.EVENT, "/", ["with an id"])),
        ('2/testmanagement,7["a",1]', Packet(Type.EVENT, "/testmanagement", ["a", 1])),
        ("312[]", Packet(Type.ACK, "/", [])),
        ('2["__proto__",{"__proto__":1}]', Packet(Type.EVENT, "/", ["__proto__", {"__proto__": 1}])),
    ],
)
def test_packets_are_read(text: str, packet: Packet) -> None:
    assert packets.decode(text.encode()) == packet


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "7", "/", ",", "\x00", "é", "-1", "2-", "b2"),
        *("2", "2[]", "2{}", "2[1]", "2[null]", '2"text"', "2[[]]", '2["a"', '2["a"]]', "2NaN", '2["a",NaN]'),
        *("0[]", '0"x"', "0{", "01", '1{"reason":1}', "1[]", "3", "3{}", '4{"message":"x"}', "4"),
        *('2["connect"]', '2["connect_error"]', '2["disconnect"]', '2["disconnecting"]'),
        *('2["newListener"]', '2["removeListener",1]'),
        '51-["x",{"_placeholder":true,"num":0}]',
        '5100000000000-["x"]',
        "61-7[]",
        "2" + "1" * 400 + '["a"]',
        "2" + "[" * 100_000,
        '2["a",' + '{"a":' * 100_000,
        '2["\\ud800\xff"]',
        "0/" + "n" * MAX_NAMESPACE + ",",
        "0/naméspace,",
    ],
)
def test_attack_by_a_malformed_packet_is_refused(text: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        packets.decode(text.encode("latin-1"))
    assert text not in str(caught.value) or len(text) < 2


def test_attack_by_many_packets_in_one_body_is_refused() -> None:
    assert packets.split(b"\x1e".join([b"3"] * MAX_PACKETS)) == [b"3"] * MAX_PACKETS
    for count in (MAX_PACKETS + 1, 100_000):
        with pytest.raises(MalformedPacket):
            packets.split(b"\x1e".join([b"3"] * count))


@pytest.mark.parametrize("body", [b"", b"\x1e", b"3\x1e", b"\x1e3", b"bAAEC", b"3\x1ebAAEC", b"7", b"\xff"])
def test_attack_by_a_body_with_an_empty_or_binary_packet_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        packets.split(body)


def test_what_the_server_sends() -> None:
    assert packets.message(Type.CONNECT, "/testmanagement", {"sid": "x"}) == b'40/testmanagement,{"sid":"x"}'
    assert packets.message(Type.DISCONNECT, "/") == b"41"
    assert packets.event("/", "kanban:delete", "") == b'42["kanban:delete",""]'
    assert packets.event("/", "a", JsonText(b'{"kept": 1.0}')) == b'42["a",{"kept": 1.0}]'
    opening = packets.opening("s", upgrades=["websocket"], interval=25, timeout=20, longest=9)
    assert opening[:1] == b"0"
    assert json.loads(opening[1:]) == {
        "sid": "s",
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 9,
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=9,
)
NAMESPACES = st.sampled_from(["/", "/testmanagement"])
NAMES = st.text().filter(lambda name: name not in packets._RESERVED)


@given(NAMESPACES, NAMES, st.lists(VALUES, max_size=2), st.none() | st.integers(0, 10**9))
def test_an_event_of_python_socketio_is_read(
    namespace: str, name: str, arguments: list[Any], id: int | None
) -> None:
    theirs = socketio.packet.Packet(socketio.packet.EVENT, [name, *arguments], namespace, id).encode()
    assert packets.decode(theirs.encode()) == Packet(Type.EVENT, namespace, [name, *arguments])


@given(NAMESPACES, NAMES, VALUES)
def test_python_socketio_reads_our_events(namespace: str, name: str, data: Any) -> None:
    ours = packets.event(namespace, name, data)
    engine = engineio.packet.Packet(encoded_packet=ours.decode())
    assert engine.packet_type == engineio.packet.MESSAGE
    theirs = socketio.packet.Packet(encoded_packet=ours.decode()[1:])
    assert (theirs.packet_type, theirs.namespace or "/", theirs.data) == (2, namespace, [name, data])


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.text().filter(lambda it: "\x1e" not in it)), min_size=1, max_size=9
    )
)
def test_a_body_of_python_engineio_is_split_into_its_packets(sent: list[tuple[int, str]]) -> None:
    payload = engineio.payload.Payload([engineio.packet.Packet(type, data or None) for type, data in sent])
    assert packets.split(payload.encode().encode()) == [f"{type}{data}".encode() for type, data in sent]


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (packets.decode, packets.split):
        with suppress(MalformedPacket):
            read(data)
