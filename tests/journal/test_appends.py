"""The appends of a node: answers, refusals, lost connections, patience and replicas."""

from collections import deque
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tuleaprt.errors import JournalUnavailable
from tuleaprt.journal.appends import RETRY_SECONDS, Appends
from tuleaprt.journal.redis_connection import RedisAway, RedisRefused
from tuleaprt.journal.streams import Keys, position


class FakeConnection:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: deque[tuple[tuple[Any, ...], Deferred[Any]]] = deque()

    async def ask(self, *command: Any) -> Any:
        answer: Deferred[Any] = Deferred()
        self.asked.append((command, answer))
        return await answer

    def answer(self, reply: Any) -> tuple[Any, ...]:
        command, answer = self.asked.popleft()
        answer.callback(reply) if not isinstance(reply, Exception) else answer.errback(reply)
        return command


class Harness:
    def __init__(self, replicas: int = 0) -> None:
        self.clock = Clock()
        self.read = 0
        self.refusals: list[Any] = []
        self.silences = 0
        self.appends = Appends(
            Keys("tuleap"),
            "node",
            patience=3,
            replicas=replicas,
            clock=self.clock,
            has_read=lambda position: position <= self.read,
        )
        self.appends.on_refused = self.refusals.append
        self.appends.on_silence = self.silent
        self.connect()

    def silent(self) -> None:
        self.silences += 1

    def connect(self) -> None:
        self.connection = FakeConnection()
        self.appends.connected(self.connection, b"epoch")  # type: ignore[arg-type]

    def append(self, body: bytes = b"body") -> list[Any]:
        results: list[Any] = []
        self.appends.append(body).addBoth(results.append)
        return results

    def lose(self) -> None:
        self.appends.disconnected()
        while self.connection.asked:
            self.connection.answer(RedisAway("lost"))

    def apply(self, id: bytes) -> None:
        self.read = position(id)
        self.appends.read(self.read)


@pytest.fixture
def harness() -> Any:
    harness = Harness()
    yield harness
    harness.appends.end("the test ends")
    assert harness.clock.getDelayedCalls() == []


def refused(result: list[Any]) -> tuple[str, bool]:
    """The reason, and whether the outcome is unknown."""
    (failure,) = result
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, JournalUnavailable)
    return str(failure.value), failure.value.is_unknown


def test_an_append_ends_when_it_has_been_read_back(harness: Harness) -> None:
    result = harness.append()
    command = harness.connection.answer(b"5-0")
    assert command[0] == "EVALSHA"
    assert command[2:] == (
        *(3, "tuleaprt:{tuleap}:journal", "tuleaprt:{tuleap}:epoch", "tuleaprt:{tuleap}:once:node:1"),
        *(b"epoch", b"body", 60),
    )
    assert result == []
    harness.apply(b"5-0")
    assert result == [position(b"5-0")]


def test_it_may_be_read_before_redis_answers(harness: Harness) -> None:
    result = harness.append()
    harness.apply(b"5-0")
    harness.connection.answer(b"5-0")
    assert result == [position(b"5-0")]


def test_each_append_has_a_number_of_its_own(harness: Harness) -> None:
    for _ in range(3):
        harness.append()
    keys = [command[5] for command, _ in harness.connection.asked]
    assert keys == [f"tuleaprt:{{tuleap}}:once:node:{number}" for number in (1, 2, 3)]


def test_what_is_not_read_back_is_sent_again_with_the_same_number(harness: Harness) -> None:
    """What Redis has answered, too: after a failover it may be lost."""
    results = [harness.append(), harness.append(), harness.append()]
    harness.connection.answer(b"4-0")
    harness.apply(b"4-0")
    harness.connection.answer(b"5-0")
    harness.lose()
    harness.connect()
    assert [it[0][5][-2:] for it in harness.connection.asked] == [":2", ":3"]
    harness.connection.answer(b"6-0")
    harness.connection.answer(b"7-0")
    harness.apply(b"6-0")
    harness.apply(b"7-0")
    assert results == [[position(it)] for it in (b"4-0", b"6-0", b"7-0")]


def test_what_was_not_read_back_is_unknown_if_it_cannot_be_sent_again(harness: Harness) -> None:
    result = harness.append()
    harness.connection.answer(b"5-0")
    harness.lose()
    harness.clock.advance(3)
    assert refused(result)[1]


def test_without_a_connection_it_waits(harness: Harness) -> None:
    harness.lose()
    result = harness.append()
    harness.clock.advance(2.9)
    harness.connect()
    harness.connection.answer(b"5-0")
    harness.apply(b"5-0")
    assert result == [position(b"5-0")]


def test_what_was_never_sent_was_not_published(harness: Harness) -> None:
    harness.lose()
    result = harness.append()
    harness.clock.advance(3)
    assert refused(result) == ("Redis has not taken it within 3 s", False)
    assert harness.silences == 0


def test_of_what_was_sent_without_an_answer_the_outcome_is_unknown(harness: Harness) -> None:
    result = harness.append()
    harness.clock.advance(3)
    assert refused(result)[1]
    assert harness.silences == 1
    harness.connection.answer(b"5-0")
    harness.apply(b"5-0")


def test_the_outcome_stays_unknown_when_the_connection_was_lost(harness: Harness) -> None:
    result = harness.append()
    harness.lose()
    harness.clock.advance(3)
    assert refused(result)[1]


def test_what_redis_has_taken_and_this_node_has_not_read_is_durable(harness: Harness) -> None:
    result = harness.append()
    harness.connection.answer(b"5-0")
    harness.clock.advance(3)
    assert result == [position(b"5-0")]
    harness.apply(b"5-0")


def test_each_append_has_its_own_patience(harness: Harness) -> None:
    harness.lose()
    first = harness.append()
    harness.clock.advance(2)
    second = harness.append()
    harness.clock.advance(1)
    assert (len(first), len(second)) == (1, 0)
    harness.clock.advance(2)
    assert len(second) == 1
    assert harness.clock.getDelayedCalls() == []


@pytest.mark.parametrize("code", ["OOM", "READONLY", "LOADING", "MISCONF", "NOREPLICAS"])
def test_a_refusal_that_may_pass_is_tried_again(harness: Harness, code: str) -> None:
    result = harness.append()
    harness.connection.answer(RedisRefused(f"{code} not now"))
    assert harness.refusals[-1].code == code
    later = harness.append()
    assert not harness.connection.asked
    harness.clock.advance(RETRY_SECONDS)
    harness.connection.answer(b"5-0")
    harness.connection.answer(b"6-0")
    harness.apply(b"6-0")
    harness.appends.read(position(b"5-0"))
    assert result + later == [position(b"5-0"), position(b"6-0")]
    assert harness.refusals[-1] is None


def test_a_refusal_that_lasts_ends_the_append(harness: Harness) -> None:
    result = harness.append()
    for _ in range(20):
        if harness.connection.asked:
            harness.connection.answer(RedisRefused("OOM command not allowed"))
        harness.clock.advance(RETRY_SECONDS)
    assert refused(result) == ("Redis has not taken it within 3 s", False)


@pytest.mark.parametrize("code", ["NOPERM", "WRONGTYPE", "EPOCH", "ERR"])
def test_a_refusal_that_does_not_pass_ends_the_append_at_once(harness: Harness, code: str) -> None:
    result = harness.append()
    harness.connection.answer(RedisRefused(f"{code} no"))
    reason, is_unknown = refused(result)
    assert reason.startswith(code)
    assert not is_unknown


def test_a_server_that_has_forgotten_the_script_gets_it_again(harness: Harness) -> None:
    result = harness.append()
    harness.connection.answer(RedisRefused("NOSCRIPT No matching script"))
    command = harness.connection.answer(b"5-0")
    assert command[0] == "EVAL"
    assert "XADD" in command[1]
    harness.apply(b"5-0")
    assert result == [position(b"5-0")]


def test_nothing_is_taken_after_the_end(harness: Harness) -> None:
    harness.lose()
    waiting = harness.append()
    harness.appends.end("the server stops")
    assert [refused(waiting)[0], refused(harness.append())[0]] == ["the server stops"] * 2


def test_of_what_was_sent_before_the_end_the_outcome_is_unknown(harness: Harness) -> None:
    taken, open = harness.append(), harness.append()
    harness.connection.answer(b"5-0")
    harness.appends.end("the server stops")
    assert refused(taken) == refused(open) == ("the server stops", True)
    harness.connection.answer(b"6-0")


def test_appends_that_wait_for_replicas_share_one_wait() -> None:
    harness = Harness(replicas=2)
    results = [harness.append() for _ in range(3)]
    for id in (b"5-0", b"6-0", b"7-0"):
        harness.connection.asked.rotate(0)
        command, answer = harness.connection.asked.popleft()
        assert command[0] == "EVALSHA"
        answer.callback(id)
        harness.apply(id)
    assert [it[0] for it, _ in harness.connection.asked] == ["WAIT"]
    assert harness.connection.answer(2) == ("WAIT", 2, 500)
    assert results[0] == [position(b"5-0")]
    assert harness.connection.answer(2)[0] == "WAIT"
    assert [len(it) for it in results] == [1, 1, 1]
    harness.appends.end("the test ends")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(1, "1 of 2 replicas have it"), (RedisRefused("ERR no"), "ERR no")],
    ids=str,
)
def test_of_what_too_few_replicas_have_the_outcome_is_unknown(answer: Any, reason: str) -> None:
    harness = Harness(replicas=2)
    result = harness.append()
    harness.connection.answer(b"5-0")
    harness.connection.answer(answer)
    assert refused(result) == (reason, True)
    harness.apply(b"5-0")
    harness.appends.end("the test ends")


def test_what_no_replica_has_confirmed_is_sent_and_confirmed_again() -> None:
    harness = Harness(replicas=1)
    results = [harness.append(), harness.append()]
    for id in (b"5-0", b"6-0"):
        command, answer = harness.connection.asked.popleft()
        assert command[0] == "EVALSHA"
        answer.callback(id)
        harness.apply(id)
    harness.lose()
    harness.connect()
    for id in (b"5-0", b"6-0"):
        command, answer = harness.connection.asked.popleft()
        assert command[0] == "EVALSHA"
        answer.callback(id)
    while harness.connection.asked:
        assert harness.connection.answer(1)[0] == "WAIT"
    assert results == [[position(b"5-0")], [position(b"6-0")]]
    harness.appends.end("the test ends")
