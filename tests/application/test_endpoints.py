"""What is behind each kind of endpoint."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import txaio
from twisted.internet.testing import MemoryReactorClock

from tests.certificates import Authority
from tests.fakes import CountingMetrics, Sent, new_realm, new_router
from tests.transport.sockets import Wire
from tuleaprt.application.endpoints import debug_endpoint, public_endpoint, public_tls_endpoint
from tuleaprt.configuration.options import Config, Limits, Tls
from tuleaprt.configuration.reload import Live
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outbound import Backpressure

UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Protocol: wamp.2.json\r\n{}\r\n"
)


@pytest.fixture
def parts() -> Iterator[tuple[Config, MemoryReactorClock, Connections, Any, Live]]:
    reactor = MemoryReactorClock()
    txaio.use_twisted()
    before, txaio.config.loop = txaio.config.loop, reactor
    metrics = CountingMetrics()
    faults = Faults(metrics)
    backpressure = Backpressure(2**20)
    connections = Connections(
        clock=reactor,
        fanout=Fanout(reactor, backpressure=backpressure, metrics=metrics, faults=faults),
        backpressure=backpressure,
        metrics=metrics,
        faults=faults,
        max_connections=9,
        max_message_size=4096,
        max_outbox=4096,
    )
    yield Config(key=b"k" * 64), reactor, connections, new_router(new_realm(Sent())), Live()
    txaio.config.loop = before


def answer(entrance: Any, request: bytes) -> bytes:
    transport = Wire()
    transport.protocol = protocol = entrance.buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.dataReceived(request)
    return transport.value()


@pytest.mark.parametrize(
    ("origin", "public", "debug"),
    [("", b"101", b"101"), ("http://127.0.0.1", b"101", b"403"), ("https://evil.example", b"403", b"403")],
)
def test_own_pages_come_in_by_the_public_door_and_none_by_the_debug_door(
    parts: Any, origin: str, public: bytes, debug: bytes
) -> None:
    request = UPGRADE.format(f"Origin: {origin}\r\n" if origin else "").encode()
    assert answer(public_endpoint(*parts), request).split()[1] == public
    assert answer(debug_endpoint(*parts), request).split()[1] == debug


def test_rawsocket_is_spoken_at_the_debug_door_only(parts: Any) -> None:
    assert answer(debug_endpoint(*parts), b"\x7f\xf1\0\0") == b"\x7f\x31\0\0"
    assert answer(public_endpoint(*parts), b"\x7f\xf1\0\0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_public_site_has_nothing_but_websocket(parts: Any) -> None:
    assert answer(public_endpoint(*parts), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_other_origins_may_come_in_from_now_on(parts: Any) -> None:
    config, *_, live = parts
    entrance = public_endpoint(*parts)
    elsewhere = UPGRADE.format("Origin: https://new.example\r\n").encode()
    assert answer(entrance, elsewhere).split()[1] == b"403"
    websocket = replace(config.websocket, allowed_origins=("https://new.example",))
    live.apply(replace(config, websocket=websocket), ["websocket.allowed_origins"])
    assert answer(entrance, elsewhere).split()[1] == b"101"


def test_as_many_as_are_allowed_now_may_be_without_a_ticket(parts: Any) -> None:
    config, *_, live = parts
    entrance = public_endpoint(*parts)
    live.apply(replace(config, limits=Limits(max_unauthenticated=1)), ["limits.max_unauthenticated"])
    first, _ = Wire(), entrance.unauthenticated.enter("203.0.113.9", lambda why: first.abortConnection())
    assert answer(entrance, UPGRADE.format("").encode()).split()[1] == b"101"
    assert (first.disconnected, entrance.unauthenticated.inside) == (True, 1)


def test_messages_of_who_connects_from_now_on_may_be_longer(parts: Any) -> None:
    _, _, connections, _, live = parts
    entrance = public_endpoint(*parts)
    connections.max_message_size = 8192
    live.apply(replace(parts[0]), ["limits.max_message_size"])
    assert entrance.websockets.maxMessagePayloadSize == 8192


def test_behind_tls_is_a_public_door_that_knows_of_it(parts: Any, tmp_path: Path) -> None:
    pem = Authority(tmp_path).leaf()
    path = tmp_path / "server.pem"
    path.write_bytes(pem.key + pem.chain)
    config, reactor, *others = parts
    reactor.advance(int(time.time()) + 10)
    inner, factory = public_tls_endpoint(replace(config, tls=Tls(certificate=str(path))), reactor, *others)
    assert factory.wrappedFactory is inner  # type: ignore[attr-defined]
    for origin, status in ((b"https://127.0.0.1", b"101"), (b"http://127.0.0.1", b"403")):
        request = UPGRADE.format(f"Origin: {origin.decode()}\r\n").encode()
        assert answer(inner, request).split()[1] == status
