"""One HTTP connection and its requests, without a network."""

import pytest

from tests.conftest import Log
from tests.fakes import CountingMetrics
from tests.heads import hostile_requests
from tests.web.conftest import MAX_BODY, answer
from tests.web.requests import Connection, request
from tuleaprt.web.channel import BoundedRequest


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
