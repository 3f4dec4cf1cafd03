"""Tokens that are refused because an administrator has revoked them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuleaprt.tuleap.ticket import MAX_CLOCK_SKEW, Revocations

AT, LIFETIME = 1000.0, 1800.0
SKEW = float(MAX_CLOCK_SKEW)


@pytest.fixture
def revocations() -> Revocations:
    revocations = Revocations(LIFETIME)
    revocations.revoke(101, AT)
    return revocations


@pytest.mark.parametrize("exp", [AT + 1, AT + LIFETIME, AT + LIFETIME + 4, AT + LIFETIME + SKEW])
def test_tickets_that_may_be_older_are_refused_until_they_end(revocations: Revocations, exp: float) -> None:
    for now in (AT, AT + 1, (AT + exp) / 2, exp - 0.001):
        assert revocations.refuse(101, exp, now)
        assert not revocations.refuse(102, exp, now)


@pytest.mark.parametrize("ahead", [-60, -5, 0, 5, 60])
def test_a_new_ticket_is_good_when_it_is_younger_by_its_own_clock_than_the_revocation_and_the_skew(
    revocations: Revocations, ahead: float
) -> None:
    good_from = AT + SKEW - ahead
    for made, is_refused in ((good_from, True), (good_from + 0.001, False)):
        assert revocations.refuse(101, made + ahead + LIFETIME, made) is is_refused
    assert good_from <= AT + 2 * SKEW


@pytest.mark.parametrize(
    ("iat", "exp", "is_refused"),
    [
        (AT - 600, AT + 1200, True),
        (AT + SKEW, AT + SKEW + LIFETIME, True),
        (AT + SKEW + 0.001, AT + SKEW + 10, False),
        (AT + SKEW + 1, AT + 1e8, False),
        (AT - 1, AT + 1e8, True),
        (0.0, AT + 300, True),
    ],
)
def test_the_time_at_which_a_ticket_was_made_decides_if_it_says_so(
    revocations: Revocations, iat: float, exp: float, is_refused: bool
) -> None:
    for now in (AT + 61, AT + 65):
        assert revocations.refuse(101, exp, now, iat) is is_refused


def test_a_ticket_that_is_good_for_a_year_is_refused_as_long_as_the_revocation_is_remembered(
    revocations: Revocations,
) -> None:
    assert revocations.refuse(101, AT + 1e8, AT + LIFETIME + SKEW - 1)


def test_a_second_revocation_counts_from_its_own_time(revocations: Revocations) -> None:
    revocations.revoke(101, AT + 100)
    assert revocations.refuse(101, AT + 100 + SKEW + LIFETIME, AT + 100)


def test_attack_a_record_from_a_slower_clock_shortens_no_revocation(revocations: Revocations) -> None:
    revocations.revoke(101, AT - 30)
    assert revocations.refuse(101, AT + LIFETIME + SKEW, AT)


def test_they_are_forgotten_when_all_that_they_meant_have_ended(revocations: Revocations) -> None:
    end = AT + LIFETIME + SKEW
    assert revocations.refuse(101, end, end - 0.001)
    assert not revocations.refuse(101, end + 1, end)
    revocations.revoke(102, end)
    assert len(revocations) == 1


whole_seconds = st.integers(-4000, 4000)


@given(
    made=whole_seconds,
    ahead=st.integers(-MAX_CLOCK_SKEW, MAX_CLOCK_SKEW),
    lifetime=st.integers(1, int(LIFETIME)),
    waited=st.integers(0, 4000),
    says_when=st.booleans(),
)
@example(made=-1, ahead=5, lifetime=1800, waited=1, says_when=False)
@example(made=0, ahead=60, lifetime=1800, waited=1859, says_when=False)
@example(made=121, ahead=-60, lifetime=1800, waited=0, says_when=False)
def test_no_ticket_of_before_is_good_and_each_of_long_after_is(
    made: int, ahead: int, lifetime: int, waited: int, says_when: bool
) -> None:
    """The true times, which the server does not know: made and shown relative to the revocation."""
    revocations = Revocations(LIFETIME)
    revocations.revoke(101, AT)
    shown = max(made, 0) + waited
    end = made + ahead + lifetime
    if shown >= end:
        return
    refused = revocations.refuse(101, AT + end, AT + shown, AT + made + ahead if says_when else None)
    if made <= 0:
        assert refused
    elif made > 2 * MAX_CLOCK_SKEW and (says_when or lifetime == LIFETIME):
        assert not refused
    elif says_when or lifetime == LIFETIME:
        assert refused is (made + ahead <= MAX_CLOCK_SKEW)
