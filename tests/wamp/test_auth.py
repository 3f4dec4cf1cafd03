"""The groups of each user in all sessions of the user."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import identity
from tuleaprt.wamp.auth import FEW, Credentials, Role


def test_the_ticket_that_ends_last_gives_the_groups() -> None:
    credentials = Credentials()
    assert credentials.show(identity(101, ["@a"], exp=200), 100) == {"@a"}
    assert credentials.show(identity(101, ["@b"], exp=150), 100) == {"@a"}
    assert credentials.show(identity(101, ["@c"], exp=250), 100) == {"@c"}
    assert credentials.show(identity(102, ["@b"], exp=150), 100) == {"@b"}


def test_of_two_that_end_together_it_is_the_later_shown() -> None:
    credentials = Credentials()
    credentials.show(identity(101, ["@a"], exp=200), 100)
    assert credentials.show(identity(101, ["@b"], exp=200), 100) == {"@b"}


def test_it_gives_them_until_it_ends_and_not_longer() -> None:
    credentials = Credentials()
    credentials.show(identity(101, ["@a"], exp=200), 100)
    assert credentials.show(identity(101, ["@b"], exp=199.5), 199) == {"@a"}
    assert credentials.show(identity(101, ["@b"], exp=300), 200) == {"@b"}


def test_it_says_what_the_sessions_of_a_user_have() -> None:
    credentials = Credentials()
    assert credentials.groups_of(101) is None
    credentials.show(identity(101, ["@a"], exp=200), 100)
    assert credentials.groups_of(101) == {"@a"}
    credentials.forget(101)
    assert credentials.groups_of(101) is None


def test_operators_take_no_part() -> None:
    credentials = Credentials()
    assert credentials.show(identity(101, ["@o"], role=Role.OPERATOR, exp=900), 100) == {"@o"}
    assert credentials.show(identity(101, ["@a"], exp=200), 100) == {"@a"}
    assert credentials.show(identity(101, ["@o"], role=Role.OPERATOR, exp=100), 100) == {"@o"}


def test_a_user_can_be_forgotten() -> None:
    credentials = Credentials()
    credentials.show(identity(101, ["@a"], exp=200), 100)
    credentials.forget(101)
    credentials.forget(101)
    assert credentials.show(identity(101, ["@b"], exp=150), 100) == {"@b"}


def test_those_who_never_come_again_do_not_fill_the_memory() -> None:
    credentials = Credentials()
    for user in range(1, 10 * FEW):
        now = 100.0 + user
        credentials.show(identity(user, ["@a"], exp=now + 50), now)
    assert len(credentials) <= FEW + 1


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from("abc"), st.integers(0, 9))))
def test_it_is_the_latest_of_all_live_tickets(shown: list[tuple[int, str, int]]) -> None:
    credentials = Credentials()
    now = 0
    history: list[tuple[int, str]] = []
    for life, group, passed in shown:
        now += passed
        history.append((now + life, group))
        groups = credentials.show(identity(101, [group], exp=now + life), now)
        live = [(exp, place) for place, (exp, _) in enumerate(history) if exp > now]
        assert groups == {history[max(live)[1]][1]}
