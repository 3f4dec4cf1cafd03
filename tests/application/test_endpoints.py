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
from tests.world import World
from tuleaprt.application.endpoints import (
    debug_endpoint,
    page_resource,
    public_endpoint,
    public_tls_endpoint,
)
from tuleaprt.configuration.options import Config, Limits, SocketIo, Tls
from tuleaprt.configuration.reload import Live
from tuleaprt.errors import ConfigError
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.transport.polling import Polls
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit

UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Protocol: wamp.2.json\r\n{}\r\n"
)


HANDSHAKE = b"GET /local-socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def parts() -> Iterator[tuple[Config, MemoryReactorClock, Connections, Any, Polls, Live]]:
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
    config, router = Config(key=b"k" * 64), new_router(new_realm(Sent()))
    polls = Polls(connections, World().pages, config.websocket, UnauthenticatedLimit(9))
    yield config, reactor, connections, router, polls, Live()
    txaio.config.loop = before


def answer(entrance: Any, request: bytes) -> bytes:
    transport = Wire()
    transport.protocol = protocol = entrance.buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.dataReceived(request)
    return transport.value()


def debug_of(parts: Any) -> Any:
    *others, _, live = parts
    return debug_endpoint(*others, live)


@pytest.mark.parametrize(
    ("origin", "public", "debug"),
    [("", b"101", b"101"), ("http://127.0.0.1", b"101", b"403"), ("https://evil.example", b"403", b"403")],
)
def test_own_pages_come_in_by_the_public_door_and_none_by_the_debug_door(
    parts: Any, origin: str, public: bytes, debug: bytes
) -> None:
    request = UPGRADE.format(f"Origin: {origin}\r\n" if origin else "").encode()
    assert answer(public_endpoint(*parts), request).split()[1] == public
    assert answer(debug_of(parts), request).split()[1] == debug


def test_rawsocket_is_spoken_at_the_debug_door_only(parts: Any) -> None:
    assert answer(debug_of(parts), b"\x7f\xf1\0\0") == b"\x7f\x31\0\0"
    assert answer(public_endpoint(*parts), b"\x7f\xf1\0\0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_public_site_has_nothing_but_websockets_and_the_pages_path(parts: Any) -> None:
    assert answer(public_endpoint(*parts), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert answer(public_endpoint(*parts), HANDSHAKE).startswith(b"HTTP/1.1 200 ")


def test_the_pages_path_may_be_another_or_none(parts: Any) -> None:
    config, *others = parts
    for path, status in (("/elsewhere/", b"404"), ("", b"404"), ("/local-socket.io/", b"200")):
        entrance = public_endpoint(replace(config, socketio=SocketIo(path=path)), *others)
        assert answer(entrance, HANDSHAKE).split()[1] == status


@pytest.mark.parametrize(
    "path", ["x", "/", "//", "/x", "x/", "/x/y/", "/x y/", "/message/", "/metrics/", "/ws/", "/../", "/%6d/"]
)
def test_a_wrong_path_for_the_pages_is_an_error_of_the_configuration(parts: Any, path: str) -> None:
    config, _, _, _, polls, live = parts
    with pytest.raises(ConfigError, match=r"\[socketio\] path"):
        page_resource(replace(config, socketio=SocketIo(path=path)), polls, live)


def test_the_pages_of_other_origins_may_come_in_from_now_on(parts: Any) -> None:
    config, *_, live = parts
    entrance = public_endpoint(*parts)
    elsewhere = HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: https://new.example\r\n\r\n")
    assert answer(entrance, elsewhere).split()[1] == b"403"
    websocket = replace(config.websocket, allowed_origins=("https://new.example",))
    live.apply(replace(config, websocket=websocket), ["websocket.allowed_origins"])
    assert answer(entrance, elsewhere).split()[1] == b"200"


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
    _, _, connections, _, _, live = parts
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
