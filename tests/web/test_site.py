"""The private and the public site."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.heads import hostile_requests
from tests.web.requests import Answer, Connection, request
from tuleaprt.operations.logs import Faults
from tuleaprt.web.private import HealthResource
from tuleaprt.web.resource import Leaf
from tuleaprt.web.site import BoundedRequest, BoundedSite, PrivateSite

MAX_BODY = 1000


class Echo(Leaf):
    method = "POST"
    name = "echo"

    async def answer(self, request: Any) -> bytes:
        body: bytes = request.body()
        return body


@pytest.fixture
def metrics() -> CountingMetrics:
    return CountingMetrics()


@pytest.fixture
def connection(clock: TurningClock, metrics: CountingMetrics) -> Iterator[Connection]:
    faults = Faults(metrics)
    site = PrivateSite(
        {"message": Echo(faults)},
        hosts=["localhost", "127.0.0.1", "[::1]"],
        clock=clock,
        timeout=60,
        max_body=MAX_BODY,
        faults=faults,
    )
    connection = Connection(site)
    yield connection
    connection.close()


@pytest.fixture
def public(clock: TurningClock, metrics: CountingMetrics) -> Iterator[Connection]:
    site = BoundedSite({}, clock=clock, timeout=9, max_body=0, faults=Faults(metrics), closes=True)
    connection = Connection(site)
    yield connection
    connection.close()


def answer(connection: Connection, data: bytes) -> Answer:
    (answer,) = connection.send(data)
    return answer


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


def test_the_longest_body_is_taken_and_one_byte_more_is_not(connection: Connection) -> None:
    assert answer(connection, request(body=b"x" * MAX_BODY)).body == b"x" * MAX_BODY
    assert answer(connection, request(body=b"x" * (MAX_BODY + 1))).status == 413


def test_after_a_body_that_is_too_long_the_connection_serves_on(connection: Connection) -> None:
    too_long, next_one = connection.send(request(body=b"x" * 5000) + request(body=b"next"))
    assert (too_long.status, next_one.body) == (413, b"next")


def test_a_body_that_is_too_long_is_not_kept(connection: Connection) -> None:
    connection.send(request(body=b"x" * 500_000)[:-1])
    assert connection.channel.requests[-1].content.tell() == 0


def test_body_without_length_is_refused(connection: Connection) -> None:
    chunked = request(body=None, Transfer_Encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n"
    assert answer(connection, chunked).status == 411


def test_smuggled_second_length_is_refused(connection: Connection) -> None:
    both = request(Transfer_Encoding="chunked") + b"0\r\n\r\n"
    assert [it.status for it in connection.send(both)] == [400]


def test_pipelined_posts_are_answered_in_order(connection: Connection) -> None:
    answers = connection.send(b"".join(request(body=b"%d" % number) for number in range(5)))
    assert [it.body for it in answers] == [b"0", b"1", b"2", b"3", b"4"]


def test_the_server_does_not_name_itself(connection: Connection) -> None:
    assert "server" not in answer(connection, request()).headers
    assert "server" not in answer(connection, request(Host="evil")).headers


def test_a_form_is_not_read_as_one(connection: Connection) -> None:
    form = request(body=b"a=1", Content_Type="multipart/form-data; boundary=x")
    assert answer(connection, form).body == b"a=1"


def test_header_that_is_no_text_is_a_bad_header_and_no_fault(connection: Connection, log: Log) -> None:
    for name in (b"Host", b"Content-Type", b"Authorization", b"Origin", b"X"):
        data = request().replace(b"\r\n\r\n", b"\r\n%s: \xff\xfe\r\n\r\n" % name)
        assert answer(connection, data).status in (200, 400, 403)
    assert log.tracebacks == []


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


@pytest.mark.parametrize("name", hostile_requests(b"/message"))
def test_hostile_request_is_no_fault(
    connection: Connection, public: Connection, metrics: CountingMetrics, log: Log, name: str
) -> None:
    data = hostile_requests(b"/message")[name]
    for site in (connection, public):
        site.channel.dataReceived(data)
        assert b"200 OK" not in site.transport.value()
        site.channel.dataReceived(b"more")
    assert log.tracebacks == []
    assert metrics.internal_errors == 0
    assert len(log.lines) <= 4


def test_a_length_that_python_does_not_read_is_a_bad_request_and_one_line(
    connection: Connection, log: Log
) -> None:
    data = request(Content_Length="9" * 5000)
    assert answer(connection, data).status == 400
    assert connection.transport.disconnecting
    assert connection.send(data + request()) == []
    assert log.lines == ["request refused: 400 malformed: this is not HTTP/1"]
    assert log.events[0]["event"] == "request.refused"


def test_a_line_without_end_is_a_bad_request(connection: Connection, log: Log) -> None:
    assert answer(connection, b"GET /" + b"x" * 20_000).status == 400
    assert connection.transport.disconnecting
    assert len(log.lines) == 1


def test_injected_fault_while_a_request_is_read_is_counted(
    connection: Connection, metrics: CountingMetrics, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ValueError("injected")

    monkeypatch.setattr(BoundedRequest, "gotLength", broken)
    assert connection.send(request()) == []
    assert connection.transport.disconnected
    assert log.tracebacks == ["injected"]
    assert metrics.internal_errors == 1


def test_who_waits_with_a_body_is_told_before_he_sends_it(connection: Connection) -> None:
    head, _, body = request(body=b"x" * MAX_BODY, Expect="100-continue").partition(b"\r\n\r\n")
    connection.channel.dataReceived(head + b"\r\n\r\n")
    assert connection.transport.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.transport.clear()
    assert answer(connection, body).status == 200


@pytest.mark.parametrize(
    ("line", "status"), [({"Content_Length": "1001"}, 413), ({"Transfer_Encoding": "chunked"}, 411)]
)
def test_who_waits_with_a_body_that_is_refused_need_not_send_it(
    connection: Connection, line: dict[str, str], status: int
) -> None:
    refused = answer(connection, request(body=None, Expect="100-continue", **line))
    assert (refused.status, refused.headers["connection"]) == (status, "close")
    assert connection.transport.disconnecting
    assert connection.send(b"x" * 1001 + request()) == []


def test_identity_is_no_transfer_encoding_of_today(connection: Connection) -> None:
    assert answer(connection, request(Transfer_Encoding="identity")).status == 411


# Draining.


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
