"""How fast one session may ask."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.wamp.rate import BURST_SECONDS, PATIENCE_SECONDS, QUEUE_SECONDS, RateLimit, Verdict

RATE = 5
BURST = BURST_SECONDS * RATE
QUEUE = QUEUE_SECONDS * RATE
PATIENCE = PATIENCE_SECONDS * RATE
NOW = 1000.0

rates = st.integers(1, 100)
starts = st.floats(0, 2e9)
gaps = st.lists(st.floats(0, 1), max_size=60)


def test_whoever_floods_is_served_then_delayed_then_refused_then_ended() -> None:
    limit = RateLimit(RATE, NOW)
    verdicts = [limit.admit(number, NOW) for number in range(BURST + QUEUE + PATIENCE + 3)]
    assert verdicts == (
        [Verdict.NOW] * BURST + [Verdict.LATER] * QUEUE + [Verdict.REFUSED] * PATIENCE + [Verdict.ENOUGH] * 3
    )


@pytest.fixture
def flooded() -> RateLimit:
    """The messages 0, 1 … wait, as many as may."""
    limit = RateLimit(RATE, NOW)
    for number in range(-BURST, QUEUE):
        limit.admit(number, NOW)
    return limit


def drained(limit: RateLimit, until: float) -> list[object]:
    """The messages of a client that sends again whenever it may."""
    served: list[object] = []
    while (at := limit.next_at()) is not None and at <= until:
        served += limit.due(at)
    return served


def test_what_waits_is_served_at_the_rate_and_in_order(flooded: RateLimit) -> None:
    assert list(flooded.due(NOW + 0.1)) == []
    assert drained(flooded, NOW + 1.01) == [0, 1, 2, 3, 4]
    assert drained(flooded, NOW + 1.41) == [5, 6]


def test_who_comes_late_is_served_one_at_a_time_and_has_saved_up_nothing(flooded: RateLimit) -> None:
    assert list(flooded.due(NOW + 100)) == [0]
    assert list(flooded.due(NOW + 100)) == []
    assert list(flooded.due(NOW + 100 + 1 / RATE)) == [1]


def test_nothing_overtakes_what_waits(flooded: RateLimit) -> None:
    assert drained(flooded, NOW + 1.01) == [0, 1, 2, 3, 4]
    assert flooded.admit("late", NOW + 1.1) is Verdict.LATER
    assert drained(flooded, NOW + 100)[-1] == "late"


def test_a_costly_message_delays_those_that_follow() -> None:
    limit = RateLimit(RATE, NOW)
    assert limit.admit("long", NOW, BURST + RATE) is Verdict.NOW
    assert limit.admit("next", NOW) is Verdict.LATER
    assert limit.next_at() == pytest.approx(NOW + 1 + 1 / RATE)


def test_what_turned_out_to_be_much_work_delays_what_follows() -> None:
    limit = RateLimit(RATE, NOW)
    limit.admit("search", NOW)
    limit.charge(BURST - 1)
    assert limit.admit("next", NOW) is Verdict.LATER
    assert limit.next_at() == pytest.approx(NOW + 1 / RATE)


def test_nobody_has_to_come_back_when_nothing_waits() -> None:
    assert RateLimit(RATE, NOW).next_at() is None


def test_who_waits_is_told_when_to_come_back(flooded: RateLimit) -> None:
    assert flooded.next_at() == NOW + 1 / RATE


def test_after_a_pause_all_that_waited_is_done_and_the_next_is_served_at_once(flooded: RateLimit) -> None:
    drained(flooded, NOW + 4.1)
    assert flooded.next_at() is None
    assert flooded.admit("next", NOW + 5) is Verdict.NOW


def test_a_drained_queue_forgives_the_refusals(flooded: RateLimit) -> None:
    assert {flooded.admit("refused", NOW) for _ in range(PATIENCE)} == {Verdict.REFUSED}
    drained(flooded, NOW + 4.1)
    verdicts = Counter(flooded.admit("again", NOW + 10) for _ in range(BURST + QUEUE + PATIENCE))
    assert verdicts == {Verdict.NOW: BURST, Verdict.LATER: QUEUE, Verdict.REFUSED: PATIENCE}


def test_refusals_are_remembered_while_somebody_waits(flooded: RateLimit) -> None:
    for _ in range(PATIENCE):
        flooded.admit("refused", NOW)
    assert list(flooded.due(NOW + 0.2)) == [0]
    assert flooded.admit("fits", NOW + 0.2) is Verdict.LATER
    assert flooded.admit("too much", NOW + 0.2) is Verdict.ENOUGH


def test_what_waits_for_a_session_that_ends_is_never_served(flooded: RateLimit) -> None:
    flooded.clear()
    assert list(flooded.due(NOW + 100)) == []
    assert flooded.next_at() is None


def test_silence_saves_up_no_more_than_the_burst() -> None:
    limit = RateLimit(RATE, NOW)
    verdicts = [limit.admit(number, NOW + 3600) for number in range(BURST + 1)]
    assert verdicts == [Verdict.NOW] * BURST + [Verdict.LATER]


def test_a_clock_that_is_set_back_makes_nobody_wait_for_the_old_time(flooded: RateLimit) -> None:
    assert list(flooded.due(NOW - 3600)) == []
    assert flooded.next_at() == NOW - 3600 + 1 / RATE
    assert drained(flooded, NOW - 3598.99) == [0, 1, 2, 3, 4]


@given(rates, starts, gaps)
def test_who_keeps_to_the_rate_is_never_delayed(rate: int, start: float, gaps: list[float]) -> None:
    limit, now = RateLimit(rate, start), start
    for number, gap in enumerate(gaps):
        now += 1 / rate + gap
        assert limit.admit(number, now) is Verdict.NOW


@given(rates, starts, st.integers(0, 300), gaps)
def test_whoever_is_woken_when_he_asked_for_it_finds_his_turn_come(
    rate: int, start: float, flood: int, gaps: list[float]
) -> None:
    limit, now = RateLimit(rate, start), start
    for number in range(flood):
        limit.admit(number, now)
    for gap in gaps:
        now += gap
        limit.admit("more", now)
    while (next_at := limit.next_at()) is not None:
        now = max(now, next_at)
        assert list(limit.due(now)) != []


@given(rates, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), max_size=20))
def test_at_no_time_is_more_served_than_the_burst_and_the_rate_allow(
    rate: int, steps: list[tuple[float, int]]
) -> None:
    limit, now = RateLimit(rate, NOW), NOW
    served: list[float] = []
    for gap, messages in steps:
        now += gap
        served += [now for _ in limit.due(now)]
        served += [now for number in range(messages) if limit.admit(number, now) is Verdict.NOW]
    for first, start in enumerate(served):
        for last, end in enumerate(served[first:], first):
            assert last - first + 1 <= BURST_SECONDS * rate + rate * (end - start) + 1e-6


@given(rates, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), max_size=20))
def test_what_was_not_refused_is_served_once_and_in_order(rate: int, steps: list[tuple[float, int]]) -> None:
    limit, now = RateLimit(rate, NOW), NOW
    taken: list[int] = []
    served: list[int] = []
    number = 0
    for gap, messages in steps:
        now += gap
        served += limit.due(now)
        for _ in range(messages):
            number += 1
            verdict = limit.admit(number, now)
            if verdict in (Verdict.NOW, Verdict.LATER):
                taken.append(number)
            if verdict is Verdict.NOW:
                served.append(number)
    while (next_at := limit.next_at()) is not None:
        served += limit.due(next_at)
    assert served == taken
