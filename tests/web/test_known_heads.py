"""Posts with a known head are answered, counted and logged as those that twisted.web reads."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from tests.conftest import Log, TurningClock
from tests.fakes import WIRE, CountingMetrics, wire
from tests.heads import hostile_requests
from tests.web.requests import Connection, request
from tuleaprt.errors import JournalUnavailable
from tuleaprt.operations.logs import Faults
from tuleaprt.tuleap.message import Message
from tuleaprt.web.known_heads import MAX_HEADS, KnownHeads
from tuleaprt.web.private import MessageResource
from tuleaprt.web.site import PrivateSite

CREATE, EDIT = wire("kanban_item_create"), wire("kanban_edit")
BODIES = [
    *(path.read_bytes() for path in WIRE),
    *(b"", b"x", b"{}", b"[" * 200, b'{"a": 1, "a": 2}', CREATE[:-1], CREATE + b" ", b"\xff", b"x" * 5000),
]


class Side:
    """A private site with one connection. ``learns``: it may know heads."""

    opened: ClassVar[list[Connection]] = []

    def __init__(self, clock: TurningClock, *, learns: bool, secret: bytes = b"") -> None:
        self.accepted: list[Message] = []
        self.lines: list[str] = []
        self.metrics = CountingMetrics()
        self.awaited: Deferred[Any] | None = None
        self.failure: Exception | None = None
        faults = Faults(self.metrics)
        self.post = MessageResource(self.accept, secret=secret, metrics=self.metrics, faults=faults)
        self.site = PrivateSite(
            {"message": self.post}, hosts=["localhost"], clock=clock, timeout=60, max_body=4000, faults=faults
        )
        if not learns:
            self.site.known.learn = lambda data, leaf: None  # type: ignore[method-assign]
        self.connect()

    def connect(self) -> None:
        self.connection = Connection(self.site)
        self.opened.append(self.connection)

    async def accept(self, message: Message) -> int:
        if self.awaited is not None:
            await self.awaited
        if self.failure is not None:
            raise self.failure
        self.accepted.append(message)
        return len(self.accepted)

    def send(self, *parts: bytes) -> bytes:
        """All that is answered, byte for byte, on a new connection if the last one was closed."""
        if self.connection.transport.disconnecting:
            self.connect()
        with capturedLogs() as events:
            for part in parts:
                self.connection.channel.dataReceived(part)
        self.lines += map(formatEvent, events)
        return self.answered()

    def answered(self) -> bytes:
        answered = self.connection.transport.value()
        self.connection.transport.clear()
        return answered

    @property
    def told(self) -> Any:
        return (
            self.metrics.messages,
            self.metrics.internal_errors,
            self.accepted,
            self.lines,
            self.connection.transport.disconnecting,
        )


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.fixture(autouse=True)
def closed(clock: TurningClock) -> Iterator[None]:
    yield
    while Side.opened:
        Side.opened.pop().close()


def pair(clock: TurningClock, **options: Any) -> tuple[Side, Side]:
    """One side that knows the head of ``request``, and one that never knows any."""
    sides = Side(clock, learns=True, **options), Side(clock, learns=False, **options)
    for side in sides:
        side.send(request(body=CREATE))
    assert [len(it.site.known) for it in sides] == [1, 0]
    return sides


@pytest.mark.parametrize("body", BODIES, ids=lambda it: repr(it[:20]))
def test_any_body_gets_the_same_answer_count_and_log_line(clock: TurningClock, body: bytes) -> None:
    quick, slow = pair(clock)
    for _ in range(2):
        assert quick.send(request(body=body)) == slow.send(request(body=body))
        assert quick.told == slow.told


@pytest.mark.parametrize("body", [EDIT, b"{}"], ids=len)
def test_a_post_cut_anywhere_is_answered_the_same(clock: TurningClock, body: bytes) -> None:
    quick, slow = pair(clock)
    whole = request(body=body)
    for at in range(1, len(whole)):
        assert quick.send(whole[:at], whole[at:]) == slow.send(whole[:at], whole[at:])
    assert quick.told == slow.told


@given(st.lists(st.sampled_from([CREATE, EDIT, b"{}", b"x"]), min_size=1, max_size=5), st.data())
def test_posts_in_any_pieces_are_answered_the_same(bodies: list[bytes], data: Any) -> None:
    quick, slow = pair(TurningClock())
    stream = b"".join(request(body=it) for it in bodies)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert quick.send(*parts) == slow.send(*parts)
    assert quick.told == slow.told


@pytest.mark.parametrize("name", hostile_requests(b"/message"))
def test_attack_no_hostile_head_is_answered_otherwise_or_learnt(clock: TurningClock, name: str) -> None:
    quick, slow = pair(clock)
    hostile = hostile_requests(b"/message")[name]
    for _ in range(2):
        assert quick.send(hostile) == slow.send(hostile)
        assert quick.send(request(body=CREATE)) == slow.send(request(body=CREATE))
    assert len(quick.site.known) == 1
    assert quick.told == slow.told
    assert quick.metrics.internal_errors == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"Host": "evil.example"},
        {"Origin": "http://localhost:2999"},
        {"Content_Type": "text/plain"},
        {"Content_Encoding": "gzip"},
        {"If_Match": "x"},
        {"Content_Range": "bytes 0-1/2"},
        {"Expect": "100-continue"},
        {"Connection": "close"},
    ],
    ids=str,
)
def test_attack_another_head_is_not_the_known_one(clock: TurningClock, changed: dict[str, str]) -> None:
    quick, slow = pair(clock)
    for _ in range(2):
        assert quick.send(request(body=CREATE, **changed)) == slow.send(request(body=CREATE, **changed))
    assert len(quick.site.known) == 1
    assert quick.told == slow.told


@pytest.mark.parametrize("path", ["/", "/health/live", "/message/x", "/message?a=b"])
def test_attack_another_path_is_not_the_known_one(clock: TurningClock, path: str) -> None:
    quick, slow = pair(clock)
    for _ in range(2):
        assert quick.send(request(path=path, body=CREATE)) == slow.send(request(path=path, body=CREATE))
    assert quick.told == slow.told


@pytest.mark.parametrize("length", ["0489", "+489", "489 ", "4_8_9", "1e3", "9" * 5000])
def test_attack_an_odd_length_is_read_by_twisted(clock: TurningClock, length: str) -> None:
    quick, slow = pair(clock)
    odd = request(body=CREATE, Content_Length=length)
    assert quick.send(odd) == slow.send(odd)
    assert quick.told == slow.told


def test_a_changed_secret_is_asked_for_at_once(clock: TurningClock) -> None:
    side = Side(clock, learns=True, secret=b"old")
    for _ in range(2):
        assert status(side.send(request(body=CREATE, Authorization="Bearer old"))) == 200
    side.post.secret = b"new"
    assert status(side.send(request(body=CREATE, Authorization="Bearer old"))) == 401
    assert status(side.send(request(body=CREATE, Authorization="Bearer new"))) == 200


FAILURES = [None, JournalUnavailable("full"), ZeroDivisionError("injected")]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_journal_that_waits_or_fails_is_answered_the_same(
    clock: TurningClock, log: Log, failure: Exception | None, waits: bool, is_lost: bool
) -> None:
    """``is_lost``: the journal's own Deferred fails."""
    found = []
    for side in pair(clock):
        del log.events[:]
        waiting = side.awaited = Deferred() if waits or is_lost else None
        side.failure = failure
        answer = side.send(request(body=CREATE))
        if waiting is not None:
            assert answer == b""
            if is_lost:
                waiting.errback(failure or JournalUnavailable("lost"))
            else:
                waiting.callback(None)
            answer = side.answered()
        side.awaited = side.failure = None
        found.append((answer, side.send(request(body=EDIT)), side.told, log.lines, log.tracebacks))
    assert found[0] == found[1]
    assert b"Content-Length" in found[0][0]


@pytest.mark.parametrize("rest", [[EDIT], [EDIT, b"x"], [b"x", CREATE, EDIT]], ids=len)
def test_what_follows_while_the_journal_waits_is_answered_after_it(
    clock: TurningClock, log: Log, rest: list[bytes]
) -> None:
    found = []
    for side in pair(clock):
        del log.events[:]
        waiting = side.awaited = Deferred()
        # TLS delivers each record, even to a connection that is not read from any more.
        assert side.send(request(body=CREATE), *(request(body=it) for it in rest)) == b""
        side.awaited = None
        waiting.callback(None)
        found.append((side.answered(), side.send(request(body=CREATE)), side.told, log.lines))
    assert found[0] == found[1]
    assert found[0][0].count(b"HTTP/1.1 ") == 1 + len(rest)


def test_only_a_bounded_amount_is_read_while_the_journal_waits(clock: TurningClock) -> None:
    for side in pair(clock):
        waiting = side.awaited = Deferred()
        side.send(request(body=CREATE))
        while side.connection.transport.producerState == "producing":
            side.send(request(body=EDIT))
        assert len(side.accepted) == 1
        # The connection does not time out meanwhile.
        clock.advance(600)
        assert not side.connection.transport.disconnecting
        side.awaited = None
        waiting.callback(None)
        assert len(side.accepted) > 10
        assert side.connection.transport.producerState == "producing"
        clock.advance(61)
        assert side.connection.transport.disconnecting


def test_an_empty_line_before_each_post_is_ignored(clock: TurningClock) -> None:
    quick, slow = pair(clock)
    parts = [b"\r\n", request(body=CREATE)] * 3
    answer = quick.send(*parts)
    assert answer == slow.send(*parts)
    assert answer.count(b"HTTP/1.1 200") == 3
    assert quick.told == slow.told


def test_what_follows_the_last_request_of_a_connection_is_not_read(clock: TurningClock) -> None:
    quick, slow = pair(clock)
    # TLS may deliver it before the peer has agreed to the close.
    parts = [request(body=CREATE, Connection="close"), request(body=EDIT)]
    assert quick.send(*parts) == slow.send(*parts)
    assert quick.told == slow.told
    assert len(quick.accepted) == 2


def test_a_peer_that_goes_while_the_journal_waits_gets_nothing(clock: TurningClock, log: Log) -> None:
    side, _ = pair(clock)
    waiting = side.awaited = Deferred()
    side.send(request(body=CREATE))
    side.connection.close()
    waiting.callback(None)
    assert side.connection.transport.value() == b""
    assert log.tracebacks == []


def test_a_draining_site_answers_what_waits_and_closes(clock: TurningClock) -> None:
    answers = []
    for side in pair(clock):
        waiting = side.awaited = Deferred()
        side.send(request(body=CREATE), request(body=EDIT))
        drained: list[Any] = []
        side.site.drain(10).addCallback(drained.append)
        waiting.callback(None)
        answers.append(side.answered())
        assert b"\r\nConnection: close\r\n" in answers[-1]
        assert side.connection.transport.disconnecting
        assert len(side.accepted) == 2
        side.connection.close()
        assert len(drained) == 1
    assert answers[0] == answers[1]


def test_a_draining_site_knows_no_head(clock: TurningClock) -> None:
    answers = []
    for side in pair(clock):
        side.connect()
        side.site.drain(10)
        answers.append((side.send(request(body=CREATE)), side.told))
    assert answers[0] == answers[1]
    assert b"\r\nConnection: close\r\n" in answers[0][0]


def test_a_post_with_a_known_head_keeps_the_connection_open(clock: TurningClock) -> None:
    side, _ = pair(clock)
    for _ in range(4):
        clock.advance(50)
        assert status(side.send(request(body=CREATE))) == 200
    clock.advance(61)
    assert side.connection.transport.disconnecting


def test_the_longest_unused_head_is_forgotten_first(clock: TurningClock) -> None:
    side = Side(clock, learns=True)
    for number in range(MAX_HEADS):
        side.send(request(body=CREATE, User_Agent=f"agent {number}"))
    side.send(request(body=CREATE, User_Agent="agent 0"))
    side.send(request(body=CREATE, User_Agent="one more"))
    assert len(side.site.known) == MAX_HEADS
    assert side.site.known.find(request(body=CREATE, User_Agent="agent 0")) is not None
    assert side.site.known.find(request(body=CREATE, User_Agent="agent 1")) is None


def test_a_long_head_is_not_kept() -> None:
    known = KnownHeads()
    known.learn(request(body=CREATE, X="x" * 5000), None)  # type: ignore[arg-type]
    assert len(known) == 0
