"""What a hostile or broken page may send: packets, bodies and requests of Engine.IO with something wrong."""

import json
import random

from tests.fuzz.mutations import changed as changed_value
from tests.fuzz.mutations import nonsense
from tests.heads import changed as changed_head
from tests.transport.sockets import subscription
from tests.web.requests import request

PATH = "/local-socket.io/"
UUIDS = ["w", "x"]
"""There are few, so that clients replace each other's sessions."""

NAMESPACES = ["", "/testmanagement,"]
ROOMS = [3, "testmanagement_9", 4, "3", "testmanagement_", -1, None, "x" * 300]
UPGRADE_HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
ODD_QUERIES = [
    "",
    "?",
    "?EIO=4",
    "?EIO=3&transport=polling",
    "?EIO=4&transport=webtransport",
    "?EIO=4&transport=polling&transport=websocket",
    "?transport=polling",
    "?EIO=4&transport=polling&sid=",
    "?EIO=4&transport=polling&sid=%00%ff&sid=x",
    "?EIO=4&EIO=4&transport=polling",
    "?EIO=4&transport=websocket",
    "?" + "&" * 300,
    "?EIO=4&transport=polling&sid=" + "x" * 3000,
    "?EIO=4;transport=polling",
    "?%45IO=4&transport=polling&t=\xe9",
]
METHODS = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "get", "PRI"]


def good_packet(chance: random.Random, tickets: list[str]) -> str:
    """As a page would send it."""
    namespace = chance.choice(NAMESPACES)
    token = chance.choice(tickets)
    match chance.randrange(6):
        case 0 | 1:
            return "40" + namespace
        case 2 | 3:
            room = chance.choice(ROOMS) if chance.random() < 0.3 else 3 if not namespace else ROOMS[1]
            return subscription(token, room, chance.choice(UUIDS), namespace)
        case 4:
            return f"42{namespace}{json.dumps(['token', {'token': token}])}"
        case _:
            return chance.choice(["3", "1", "41" + namespace, "42" + namespace + '["unknown",1]'])


def packet(chance: random.Random, tickets: list[str]) -> bytes:
    """One packet of Engine.IO, or what is none."""
    good = good_packet(chance, tickets)
    match chance.randrange(10):
        case 0:
            return chance.randbytes(chance.randrange(40))
        case 1:
            type, digits = chance.choice("0123456789b"), chance.choice("0123456789")
            return f"{type}{digits}{json.dumps(nonsense(chance), default=repr)}".encode(errors="replace")
        case 2:
            octets = bytearray(good.encode())
            for _ in range(chance.randrange(1, 4)):
                octets[chance.randrange(len(octets))] = chance.randrange(256)
            return bytes(octets[: chance.randrange(len(octets) + 1)] if chance.random() < 0.3 else octets)
        case 3 | 4:
            head, bracket, rest = good.partition("[")
            value = changed_value(chance, json.loads(bracket + rest) if bracket else {})
            return (head + json.dumps(value, default=repr)).encode(errors="replace")
        case 5:
            return chance.choice(ODD_PACKETS)
        case _:
            return good.encode()


ODD_PACKETS = [
    b"",
    b"2",
    b"2probe",
    b"3probe",
    b"5",
    b"6",
    b"4",
    b"0{}",
    b"40{}",
    b'40{"sid":"x"}',
    b"40/admin,",
    b"40/" + b"x" * 200 + b",",
    b"41x",
    b'42["disconnect"]',
    b'42["__proto__",{"__proto__":{}}]',
    b"42" + b"[" * 500 + b"]" * 500,
    b"42[1]",
    b"42[]",
    b"43[]",
    b'43999999999999999["x"]',
    b'42999999999999999["token",{}]',
    b'4299999999999999999999["token",{}]',
    b'44{"message":"x"}',
    b'451-["x",{"_placeholder":true,"num":0}]',
    b"4599999999-[]",
    b"bAAAA",
    b'42["token"]',
    b'42["token",{"token":null}]',
    b'42["token",{"token":{"a":[1]}}]',
    b'42["subscription"]',
    b'42["subscription",null,{}]',
    b'42["subscription",{"nodejs_server_version":"2.0.0","token":"good","room_id":1e308,"uuid":"w"}]',
    b'42["subscription",{"nodejs_server_version":"2.0.0","token":"good","room_id":true,"uuid":"w"}]',
    b'42["subscription",{"nodejs_server_version":"2.0.0","token":"good","room_id":3,"uuid":"\\ud800"}]',
]


def body(chance: random.Random, tickets: list[str]) -> bytes:
    """The body of a POST."""
    if chance.random() < 0.05:
        return b"\x1e".join([b"3"] * chance.choice([65, 500]))
    return b"\x1e".join(packet(chance, tickets) for _ in range(chance.choice([1, 1, 1, 2, 3])))


def query(chance: random.Random, transport: str, sid: str | None) -> str:
    good = f"?EIO=4&transport={transport}" + (f"&sid={sid}" if sid else "")
    if chance.random() < 0.85:
        return good
    if chance.random() < 0.5:
        return chance.choice(ODD_QUERIES)
    at = chance.randrange(1, len(good))
    return good[:at] + chance.choice("&=%\xe9x") + good[at + 1 :]


def poll(sid: str | None = None, body: bytes | None = None) -> bytes:
    """A good request over polling: a POST if it has a body."""
    return request(
        "GET" if body is None else "POST",
        PATH + "?EIO=4&transport=polling" + (f"&sid={sid}" if sid else ""),
        body,
        Host="127.0.0.1:2998",
        Content_Type="text/plain;charset=UTF-8",
        Connection="upgrade",
    )


def upgrade(sid: str | None = None) -> bytes:
    """A good handshake of a WebSocket, of a session over polling or of its own."""
    query = "?EIO=4&transport=websocket" + (f"&sid={sid}" if sid else "")
    return request("GET", PATH + query, None, Host="127.0.0.1:2998", **UPGRADE_HEADERS)


def one_request(chance: random.Random, sid: str | None, tickets: list[str]) -> bytes:
    """A request over polling."""
    posts = sid is not None and chance.random() < 0.5
    method = "POST" if posts else "GET"
    headers = {"Host": "127.0.0.1:2998", "Content_Type": "text/plain;charset=UTF-8", "Connection": "upgrade"}
    if chance.random() < 0.1:
        method = chance.choice(METHODS)
    if chance.random() < 0.05:
        headers["Content_Type"] = "application/octet-stream"
    if chance.random() < 0.1:
        headers["Origin"] = chance.choice(["http://127.0.0.1:2998", "http://evil.example", "null", "\xff"])
    made = request(
        method,
        PATH + query(chance, "polling", sid),
        body(chance, tickets) if posts or chance.random() < 0.05 else None,
        **headers,
    )
    return broken(chance, made) if chance.random() < 0.15 else made


def handshake(chance: random.Random, sid: str | None) -> bytes:
    """The handshake of a WebSocket, good or not."""
    made = request(
        chance.choice(METHODS) if chance.random() < 0.05 else "GET",
        PATH + query(chance, "websocket", sid),
        None,
        Host="127.0.0.1:2998",
        **UPGRADE_HEADERS,
    )
    return broken(chance, made) if chance.random() < 0.1 else made


def broken(chance: random.Random, made: bytes) -> bytes:
    """The request with a fault in its head."""
    head, end, rest = made.partition(b"\r\n\r\n")
    return changed_head(chance, head + end) + rest
