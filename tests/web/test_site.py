"""The private and the public site."""

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.web.conftest import Echo, answer
from tests.web.requests import Connection, request
from tuleaprt.operations.logs import Faults
from tuleaprt.web.private import HealthResource
from tuleaprt.web.site import BoundedSite, PrivateSite


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:2999", "127.0.0.1:2999", "[::1]:2999", "[::1]", "LOCALHOST"]
)
def test_the_private_site_answers_to_its_own_names(connection: Connection, host: str) -> None:
    assert answer(connection, request(Host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:2999",
        "localhost.",
        "[::2]",
        "local%68ost",
    ],
)
def test_foreign_host_is_refused(connection: Connection, host: str) -> None:
    refused = answer(connection, request(Host=host))
    assert (refused.status, refused.error["code"]) == (403, "host")


NO_HOSTS = [
    "",
    "localhost@evil.example",
    "localhost:x",
    "localhost:-1",
    "localhost:65536",
    "a localhost",
    "\xff\xfe",
]


@pytest.mark.parametrize("host", [*NO_HOSTS, None])
def test_host_that_is_none_is_a_bad_request_at_both_sites(
    connection: Connection, public: Connection, host: str | None
) -> None:
    for site in (connection, public):
        refused = answer(site, request(Host=host))
        assert (refused.status, refused.error["code"]) == (400, "invalid_host")


def test_two_hosts_are_a_bad_request(connection: Connection) -> None:
    data = request().replace(b"Host: localhost:2999", b"Host: localhost:2999\r\nHost: evil.example")
    assert answer(connection, data).status == 400


def old(method: str, path: str, host: str | None = None) -> bytes:
    return request(method, path, None, Host=host).replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_haproxy_asks_for_health_without_host_and_nobody_asks_for_more(
    clock: TurningClock, metrics: CountingMetrics, method: str
) -> None:
    faults = Faults(metrics)
    leaves = {"message": Echo(faults), "health": HealthResource(list, faults)}
    for data, status in (
        (old(method, "/health/ready"), 200),
        (old(method, "/health/live"), 200),
        (old(method, "/health/ready", "evil.example"), 403),
        (old(method, "/health/ready").replace(b"\r\n", b"\r\nOrigin: null\r\n", 1), 403),
        (old(method, "/message"), 403),
        (request(method, "/health/ready", None, Host=None), 400),
    ):
        site = PrivateSite(leaves, hosts=["localhost"], clock=clock, timeout=60, max_body=9, faults=faults)
        connection = Connection(site)
        connection.channel.dataReceived(data)
        assert int(connection.transport.value().split()[1]) == status
        connection.close()


@pytest.mark.parametrize("origin", ["https://tuleap.example.com", "http://localhost:2999", "null", ""])
def test_any_origin_is_refused_on_the_private_site(connection: Connection, origin: str) -> None:
    refused = answer(connection, request(Origin=origin))
    assert (refused.status, refused.error["code"]) == (403, "origin")


@pytest.mark.parametrize(
    "path", ["/", "/messages", "/message/", "/message/x", "//message", "/ws", "/../message"]
)
def test_other_paths_are_not_found(connection: Connection, path: str) -> None:
    refused = answer(connection, request(path=path))
    assert (refused.status, refused.error["code"]) == (404, "not_found")
    assert refused.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"])
def test_another_method_is_told_the_right_one(connection: Connection, method: str) -> None:
    refused = answer(connection, request(method, body=None))
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_options_star_gets_round_no_rule(connection: Connection) -> None:
    assert answer(connection, request("OPTIONS", "*", None)).status == 404
    assert answer(connection, request("OPTIONS", "*", None, Host="evil")).status == 403


def test_injected_fault_before_any_resource_is_asked(
    connection: Connection, metrics: CountingMetrics, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(PrivateSite, "_is_own", broken)
    failed = answer(connection, request())
    assert (failed.status, failed.error["code"]) == (500, "internal_error")
    assert "server" not in failed.headers
    assert log.tracebacks == ["injected"]
    assert metrics.internal_errors == 1


def test_the_public_site_answers_once_on_each_connection(
    clock: TurningClock, metrics: CountingMetrics
) -> None:
    site = BoundedSite({}, clock=clock, timeout=9, max_body=0, faults=Faults(metrics), closes=True)
    connection = Connection(site)
    (answer,) = connection.send(request("GET", "/") + request("GET", "/ws"))
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert connection.transport.disconnecting
    connection.close()


# What twisted.web cannot read.


def drained(connection: Connection) -> list[None]:
    done: list[None] = []
    connection.channel.site.drain(2).addCallback(done.append)
    return done


def test_a_connection_without_a_request_is_closed_by_a_drain(connection: Connection) -> None:
    assert answer(connection, request()).status == 200
    done = drained(connection)
    assert connection.transport.disconnecting
    connection.close()
    assert done == [None]


def test_a_request_that_is_under_way_is_answered_and_its_connection_closed(connection: Connection) -> None:
    connection.send(request()[:-1])
    done = drained(connection)
    assert not connection.transport.disconnecting
    answered = answer(connection, request()[-1:])
    assert (answered.status, answered.headers["connection"]) == (200, "close")
    assert connection.transport.disconnecting
    assert done == []
    connection.close()
    assert done == [None]


def test_who_has_just_connected_may_ask(connection: Connection) -> None:
    done = drained(connection)
    assert answer(connection, request()).status == 200
    connection.close()
    assert done == [None]


def test_a_request_that_does_not_come_is_not_waited_for(connection: Connection, clock: TurningClock) -> None:
    connection.send(request()[:-1])
    drained(connection)
    clock.advance(2)
    assert connection.transport.disconnected
    connection.close()


def test_with_nobody_there_a_drain_is_immediate(connection: Connection, clock: TurningClock) -> None:
    connection.close()
    assert drained(connection) == [None]
    assert clock.getDelayedCalls() == []
