"""Counts of authentications and of reads of the event history."""

from typing import Any

import pytest

from tests.fakes import CountingMetrics, Tickets, identity
from tuleaprt.application.instrumentation import CountedAuthenticator, counted_history_read, counted_refresh
from tuleaprt.errors import InvalidArgument, TicketError
from tuleaprt.wamp.calls import Arguments, Result

NOW = 1000.0
CALLER: Any = object()


def test_tickets_are_counted_by_what_became_of_them() -> None:
    metrics = CountingMetrics()
    authenticator = CountedAuthenticator(Tickets(joe=identity()), metrics)
    assert authenticator.authenticate("joe", NOW) == identity()
    for word in ("expired", "nobody"):
        with pytest.raises(TicketError):
            authenticator.authenticate(word, NOW)
    assert metrics.results == [
        ("authentication", "accepted"),
        ("authentication", "expired"),
        ("authentication", "refused"),
    ]


@pytest.mark.parametrize(("is_lost", "result"), [(False, "complete"), (True, "position_lost")])
def test_reads_of_the_history_are_counted(is_lost: bool, result: str) -> None:
    metrics, answer = CountingMetrics(), Result(kwargs={"position_lost": is_lost})
    read = counted_history_read(lambda caller, arguments, now: answer, metrics)
    assert read(CALLER, Arguments([], {}), NOW) is answer
    assert metrics.results == [("history read", result)]


def test_refreshes_are_counted() -> None:
    metrics = CountingMetrics()
    refresh = counted_refresh(lambda caller, arguments, now: Result(), metrics)
    refresh(CALLER, Arguments([], {}), NOW)

    def refusing(*asked: object) -> Result:
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument):
        counted_refresh(refusing, metrics)(CALLER, Arguments([], {}), NOW)
    assert metrics.results == [("refresh", "accepted"), ("refresh", "refused")]
