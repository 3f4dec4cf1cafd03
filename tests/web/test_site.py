"""The private and the public site."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.web.requests import Answer, Connection, request
from tuleaprt.faults import Faults
from tuleaprt.web.resource import Leaf
from tuleaprt.web.site import BoundedSite, PrivateSite

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
        "localhost@evil.example",
        "",
        "localhost.",
        "[::2]",
        "localhost:x",
        "a localhost",
        "\xff\xfe",
        None,
    ],
)
def test_foreign_host_is_refused(connection: Connection, host: str | None) -> None:
    refused = answer(connection, request(Host=host))
    assert (refused.status, refused.error["code"]) == (403, "host")


def test_two_hosts_are_refused(connection: Connection) -> None:
    data = request().replace(b"Host: localhost:2999", b"Host: localhost:2999\r\nHost: evil.example")
    assert answer(connection, data).status == 403


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
        assert answer(connection, data).status in (200, 403)
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
