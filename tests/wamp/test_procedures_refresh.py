"""A session shows a newer token."""

from typing import Any

import pytest

from tests.fakes import CAMPAIGN, KANBAN, Everything, Tickets, identity, new_realm, new_router
from tests.wamp.clients import EXPIRES_AT, Client
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.procedures import REFRESH, refresh

REVOCABLE = {"subscriber": {"features": {"subscription_revocation": True}}}
LATER = EXPIRES_AT + 600

TICKETS = Tickets(
    good=identity(102, ["@a"], expires_at=EXPIRES_AT),
    newer=identity(102, ["@b"], expires_at=LATER),
    older=identity(102, ["@c"], expires_at=EXPIRES_AT - 1),
    equal=identity(102, ["@d"], expires_at=EXPIRES_AT),
    early=identity(102, ["@e"], exp=EXPIRES_AT, expires_at=EXPIRES_AT - 7),
    narrower=identity(102, ["@a"], topics=[CAMPAIGN], expires_at=LATER),
    other=identity(103, ["@a"], expires_at=LATER),
    promoted=identity(102, ["@a"], role=Role.OPERATOR, expires_at=LATER),
)


class Rooms(Everything):
    """A Policy that allows the rooms in the token."""

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool:
        return identity.topics is None or topic in identity.topics


@pytest.fixture
def client() -> Client:
    realm = new_realm()
    realm.policy = Rooms()

    def refreshing(*asked: Any) -> Any:
        return refresh(realm, TICKETS, *asked)

    others: dict[str, Procedure] = {REFRESH: refreshing}
    client = Client(new_router(realm, TICKETS, others=others))
    client.say([1, "tuleap", {"roles": REVOCABLE, "authmethods": ["ticket"]}])
    client.say([5, "good", {}])
    return client


def shown(client: Client, *args: object) -> list[Any]:
    return client.say([48, 9, {}, REFRESH, list(args)])


def test_a_newer_ticket_prolongs_the_session_and_gives_its_groups(client: Client) -> None:
    assert shown(client, "newer") == [[50, 9, {}, [{"expires_at": LATER}]]]
    assert client.session.identity.groups == {"@b"}
    assert client.outlet.waking_at == LATER
    assert client.wake(EXPIRES_AT) == []
    assert client.wake(LATER)[0][2] == "org.tuleap.error.token_expired"


def test_of_two_that_end_together_the_later_presented_counts(client: Client) -> None:
    shown(client, "equal")
    assert client.session.identity.groups == {"@d"}


def test_an_older_ticket_shortens_nothing(client: Client) -> None:
    assert shown(client, "older") == [[50, 9, {}, [{"expires_at": EXPIRES_AT}]]]
    assert client.session.identity.groups == {"@a"}


@pytest.mark.parametrize("ticket", ["other", "promoted", "expired", "nonsense"])
def test_a_ticket_that_is_not_this_sessions_changes_nothing(client: Client, ticket: str) -> None:
    before = client.session.identity
    ((code, _, _, _, uri, _),) = shown(client, ticket)
    assert (code, uri) == (8, "org.tuleap.error.token_invalid")
    assert client.session.identity is before
    assert client.outlet.waking_at == EXPIRES_AT


@pytest.mark.parametrize("args", [(), (7,), (None,), ("newer", "newer")])
def test_wrong_arguments(client: Client, args: tuple[object, ...]) -> None:
    ((*_, uri, _),) = shown(client, *args)
    assert uri == "wamp.error.invalid_argument"


def test_a_room_that_the_newer_ticket_has_not_is_revoked(client: Client) -> None:
    kanban = client.say([32, 1, {}, KANBAN])[0][2]
    campaign = client.say([32, 2, {}, CAMPAIGN])[0][2]
    revoked, result = shown(client, "narrower")
    assert revoked == [35, 0, {"reason": "wamp.error.not_authorized", "subscription": kanban}]
    assert result[0] == 50
    assert client.session.subscriptions == {campaign}


def another_window(client: Client, ticket: str) -> Client:
    other = Client(client.session.router)
    other.say([1, "tuleap", {"roles": REVOCABLE, "authmethods": ["ticket"]}])
    other.say([5, ticket, {}])
    return other


def test_a_newer_ticket_gives_its_groups_to_the_users_other_windows_but_not_its_end(client: Client) -> None:
    other = another_window(client, "good")
    shown(client, "newer")
    assert other.session.identity.groups == {"@b"}
    assert other.outlet.waking_at == EXPIRES_AT
    assert other.take() == []


def test_a_ticket_that_is_newer_than_ones_own_but_not_the_users_newest_prolongs(client: Client) -> None:
    older = another_window(client, "older")
    assert older.session.identity.groups == {"@a"}
    shown(client, "newer")
    assert shown(older, "equal") == [[50, 9, {}, [{"expires_at": EXPIRES_AT}]]]
    assert older.session.identity.groups == {"@b"}


def test_rooms_are_each_sessions_own(client: Client) -> None:
    other = another_window(client, "good")
    other.say([32, 1, {}, KANBAN])
    shown(client, "narrower")
    assert len(other.session.subscriptions) == 1
    assert other.take() == []


def test_who_shows_one_that_ends_together_does_not_end_earlier(client: Client) -> None:
    # It is another token, so its session would end at a slightly different time.
    assert shown(client, "early") == [[50, 9, {}, [{"expires_at": EXPIRES_AT}]]]
    assert client.session.identity.groups == {"@e"}
