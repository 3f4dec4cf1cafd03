"""Tickets that are refused because an administrator has said so."""

import pytest

from tuleaprt.tuleap.revocations import Revocations

AT, LIFETIME = 1000.0, 1800.0


@pytest.fixture
def revocations() -> Revocations:
    revocations = Revocations(LIFETIME)
    revocations.revoke(101, AT)
    return revocations


@pytest.mark.parametrize("exp", [AT + 1, AT + LIFETIME])
def test_tickets_that_may_be_older_are_refused(revocations: Revocations, exp: float) -> None:
    assert revocations.refuse(101, exp, AT)
    assert not revocations.refuse(102, exp, AT)


def test_what_tuleap_makes_afterwards_is_good(revocations: Revocations) -> None:
    assert not revocations.refuse(101, AT + 0.5 + LIFETIME, AT + 0.5)


def test_the_clock_of_tuleap_may_be_ahead_a_little(revocations: Revocations) -> None:
    assert not revocations.refuse(101, AT + LIFETIME + 30, AT)


def test_a_ticket_that_is_good_for_a_year_does_not_outlive_the_revocation(revocations: Revocations) -> None:
    assert revocations.refuse(101, AT + 1e8, AT + LIFETIME - 1)


def test_a_second_revocation_counts_from_its_own_time(revocations: Revocations) -> None:
    revocations.revoke(101, AT + 100)
    assert revocations.refuse(101, AT + 50 + LIFETIME, AT + 100)


def test_they_are_forgotten_when_all_that_they_meant_have_ended(revocations: Revocations) -> None:
    assert not revocations.refuse(101, AT + 1e8, AT + LIFETIME)
    revocations.revoke(102, AT + LIFETIME)
    assert len(revocations) == 1
