"""What all transports share: faults, deadlines, one log line."""

from typing import Any

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper

from tests.conftest import Log, TurningClock
from tests.transport.sockets import Browser, Peer, Program, Server
from tuleaprt.errors import ProtocolViolation, TicketRefused
from tuleaprt.transport.connection import READ_BYTES, Connection
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.session import Session

KINDS = [Browser, Program]


def explode(*args: object, **kwargs: object) -> None:
    raise ZeroDivisionError("injected")


class Broken:
    """An Authenticator with a fault in it."""

    def authenticate(self, ticket: str, now: float) -> Identity:
        raise ZeroDivisionError("injected")


class Refuses:
    def authenticate(self, ticket: str, now: float) -> Identity:
        raise TicketRefused("the signature is wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_injected_fault_is_no_news_to_the_peer_and_a_traceback_in_the_log(
    clock: TurningClock, log: Log, kind: type[Peer]
) -> None:
    server = Server(clock, Broken())
    peer = kind(server)
    received = peer.join()
    assert "injected" not in str(received)
    assert peer.is_ended()
    assert log.tracebacks == ["injected"]
    assert server.metrics.internal_errors == 1
    peer.lose()
    assert server.metrics.closes == ["internal error"]
    server.pass_time(3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_while_opening_ends_the_connection(server: Server, log: Log, kind: type[Peer]) -> None:
    server.connections.opened = explode  # type: ignore[method-assign]
    peer = kind(server)
    peer.greet()
    assert peer.is_ended()
    peer.connection.violated(ProtocolViolation("what is still in the buffer"))
    peer.lose()
    assert log.tracebacks == ["injected"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["receive", "wake", "lost"])
def test_no_fault_of_a_session_leaves_its_connection(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch, kind: type[Peer], method: str
) -> None:
    peer = kind(server)
    peer.greet()
    monkeypatch.setattr(Session, method, explode)
    if method == "receive":
        peer.say([1])
    server.pass_time(10)
    peer.lose()
    assert set(log.tracebacks) == {"injected"}
    assert server.metrics.internal_errors >= 1


def test_one_line_per_connection_says_who_and_why(joined: Browser, log: Log) -> None:
    joined.say([6, {}, "wamp.close.close_realm"])
    joined.lose()
    (line,) = log.lines
    assert "closed: goodbye session=5000 user=102" in line


@pytest.mark.parametrize("kind", KINDS)
def test_the_reason_of_a_refused_ticket_is_logged_and_the_ticket_is_not(
    clock: TurningClock, log: Log, kind: type[Peer]
) -> None:
    server = Server(clock, Refuses())
    peer = kind(server)
    peer.join("s3cr3t")
    peer.lose()
    server.pass_time(3)
    (line,) = log.lines
    assert "closed: refused (the signature is wrong) session=- user=-" in line
    assert "s3cr3t" not in line


@pytest.mark.parametrize("kind", KINDS)
def test_the_open_timeout_counts_from_the_connection(server: Server, kind: type[Peer]) -> None:
    peer = kind(server)
    peer.connection.opened_at -= 4
    peer.greet()
    server.pass_time(5.75)
    assert not peer.is_ended()
    server.pass_time(0.25)
    assert peer.is_ended()
    peer.lose()
    assert server.metrics.closes == ["open timeout"]


def test_whoever_has_no_ticket_is_an_operator_where_none_is_asked_for(clock: TurningClock) -> None:
    server = Server(clock, anonymous=True)
    browser = Browser(server)
    browser.handshake()
    ((code, _, details),) = browser.say([1, "tuleap", {"roles": {"caller": {}}}])
    assert (code, details["authid"], details["authrole"]) == (2, "anonymous", "operator")
    assert details["authmethod"] == "anonymous"
    assert "expires_at" not in details.get("authextra", {})
    browser.lose()
    server.pass_time(3)


@pytest.mark.parametrize("is_tls", [False, True])
def test_little_is_read_at_once_with_and_without_tls(clock: TurningClock, is_tls: bool) -> None:
    socket: Any = FileDescriptor(clock)  # type: ignore[arg-type]
    socket.bufferSize = 65_536
    wrapper = ProtocolWrapper(Factory(), Protocol())  # type: ignore[arg-type]
    wrapper.transport = socket
    connection = Connection()
    connection.transport = wrapper if is_tls else socket
    connection.bound_reads()
    assert socket.bufferSize == READ_BYTES
