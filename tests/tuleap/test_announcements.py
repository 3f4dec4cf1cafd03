"""The messages that the server makes itself, and their receivers."""

from typing import Any

import pytest

from tests.fakes import CAMPAIGN, rights
from tuleaprt.tuleap.announcements import departed, podium_changed, presence_changed
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.podium import Podium
from tuleaprt.tuleap.presence import Departure, PresenceChange, Viewers
from tuleaprt.wamp.publication import JsonText, Publication, Replay, Window

A, B = rights(tracker=frozenset({"@a"})), rights(tracker=frozenset({"@b"}))
OWN = rights(
    tracker=frozenset({"@x"}), submitter_id=102, submitter_can_view=True, submitter_only=frozenset({"@a"})
)
ALICE, BOB = JsonText(b'{"id":101}'), JsonText(b'{"id":102}')
ADD = {"execution_to_add": 40, "execution_presences_to_add": (ALICE,)}
REMOVE = {"execution_to_remove": "39", "execution_presences_to_remove": (BOB,)}
SWITCH = PresenceChange(
    topic=CAMPAIGN,
    viewer=ALICE,
    added=Viewers(execution=40, viewers=(ALICE,)),
    removed=Viewers(execution=39, viewers=(BOB,)),
)


@pytest.fixture
def campaigns() -> Campaigns:
    """39 is for @a, 40 for @b, 41 for its submitter."""
    campaigns = Campaigns(max=9, idle_seconds=9, max_publications=1000)
    for execution, newest in {39: A, 40: B, 41: OWN}.items():
        campaigns.executions.learn(CAMPAIGN, execution, newest)
    return campaigns


def data(publication: Publication, *groups: str, user_id: int | None = None) -> Any:
    kwargs = publication.view(frozenset(groups), user_id)
    return None if kwargs is None else kwargs["data"]


def test_of_a_switch_everybody_gets_the_half_that_he_may_see(campaigns: Campaigns) -> None:
    publication = presence_changed(SWITCH, campaigns, Window(101, "a"))(id=7)
    assert data(publication, "@a") == {"user": ALICE, **REMOVE}
    assert data(publication, "@b") == {"user": ALICE, **ADD}
    assert data(publication, "@a", "@b") == {"user": ALICE, **ADD, **REMOVE}
    assert list(data(publication, "@a", "@b")) == ["user", *ADD, *REMOVE]
    assert data(publication, "@c") is None
    assert publication.kwargs == publication.view(frozenset({"@a", "@b"}), None)
    assert (publication.id, publication.sender) == (7, (101, "a"))
    assert publication.replay is Replay.NEVER


def test_those_who_get_the_same_share_it(campaigns: Campaigns) -> None:
    publication = presence_changed(SWITCH, campaigns)(id=7)
    assert publication.view(frozenset({"@a"}), None) is publication.view(frozenset({"@a", "@c"}), 102)


@pytest.mark.parametrize(("half", "group"), [("added", "@b"), ("removed", "@a")])
def test_half_a_change_is_for_those_of_its_execution(campaigns: Campaigns, half: str, group: str) -> None:
    change = PresenceChange(topic=CAMPAIGN, viewer=ALICE, **{half: getattr(SWITCH, half)})
    publication = presence_changed(change, campaigns)(id=7)
    assert data(publication, group) == {"user": ALICE, **(ADD if half == "added" else REMOVE)}
    assert data(publication, "@a" if group == "@b" else "@b") is None


def test_a_submitter_gets_what_he_may_see(campaigns: Campaigns) -> None:
    change = PresenceChange(topic=CAMPAIGN, viewer=ALICE, added=Viewers(execution=41, viewers=(ALICE,)))
    publication = presence_changed(change, campaigns)(id=7)
    assert publication.submitters == {102}
    assert data(publication, "@a", user_id=102) is not None
    assert data(publication, "@a", user_id=103) is data(publication, "@a") is None


def test_of_an_execution_whose_rights_are_unknown_nobody_is_told(campaigns: Campaigns) -> None:
    gone = Departure(topic=CAMPAIGN, execution=77, window=Window(101, "a"))
    unknown = PresenceChange(topic=CAMPAIGN, viewer=ALICE, removed=Viewers(execution=77, viewers=(BOB,)))
    elsewhere = Departure(topic="org.tuleap.testmanagement.10", execution=39, window=Window(101, "a"))
    for publication in (
        departed(gone, campaigns)(id=7),
        departed(elsewhere, campaigns)(id=7),
        presence_changed(unknown, campaigns)(id=7),
    ):
        assert data(publication, "@a", "@b", user_id=102) is None
        assert publication.kwargs is not None


def test_the_bare_id_of_an_unheard_of_execution_is_told_as_tuleap_tells_it(campaigns: Campaigns) -> None:
    """Case P10."""
    change = PresenceChange(
        topic=CAMPAIGN, viewer=ALICE, added=SWITCH.added, removed=Viewers(execution=77, viewers=())
    )
    publication = presence_changed(change, campaigns)(id=7)
    bare = {"execution_to_remove": "77", "execution_presences_to_remove": ()}
    assert data(publication, "@b") == {"user": ALICE, **ADD, **bare}
    assert data(publication, "@a") is None


def test_presence_and_departure_obey_the_rights_of_the_moment_of_delivery(campaigns: Campaigns) -> None:
    switch = presence_changed(SWITCH, campaigns)(id=7)
    gone = departed(Departure(topic=CAMPAIGN, execution=39, window=Window(101, "a")), campaigns)(id=8)
    campaigns.executions.learn(CAMPAIGN, 39, B)
    campaigns.executions.learn(CAMPAIGN, 40, A)
    assert data(switch, "@a") == {"user": ALICE, **ADD}
    assert data(switch, "@b") == {"user": ALICE, **REMOVE}
    assert (data(gone, "@a"), data(gone, "@b")) == (None, "a")


def test_a_departure_is_for_those_who_could_see_where_the_window_was(campaigns: Campaigns) -> None:
    gone = Departure(topic=CAMPAIGN, execution=39, window=Window(101, "a"))
    publication = departed(gone, campaigns)(id=7)
    assert publication.view(frozenset({"@a"}), None) == {"cmd": "user:leave", "data": "a"}
    assert data(publication, "@b") is None
    assert (publication.replay, publication.sender) == (Replay.NEVER, None)


USERS = {101: ALICE, 102: BOB}


def changed(before: Podium, after: Podium) -> Publication:
    campaigns = Campaigns(max=9, idle_seconds=9, max_publications=1000)
    campaign = campaigns.campaign(CAMPAIGN, 1000)
    campaign.ledger.podium = after
    return podium_changed(campaign, before, campaigns)(id=7)


def standings(*of: tuple[JsonText, int, int]) -> list[dict[str, Any]]:
    return [{"user": user, "score": score, "rank": rank} for user, score, rank in of]


def test_the_podium_is_for_those_to_whom_it_is_another() -> None:
    before = Podium({A: {101: 1}, B: {102: 1}}, USERS)
    after = Podium({A: {101: 1}, B: {102: 2}}, USERS)
    publication = changed(before, after)
    assert data(publication, "@a") is None
    assert data(publication, "@b") == standings((BOB, 2, 1))
    assert data(publication, "@a", "@b") == standings((BOB, 2, 1), (ALICE, 1, 2))
    assert publication.kwargs == publication.view(frozenset({"@a", "@b"}), None)
    assert publication.replay is Replay.LAST
    assert publication.size > 0


def test_who_loses_sight_of_the_last_point_gets_an_empty_podium() -> None:
    before, after = Podium({A: {101: 1}}, USERS), Podium({B: {101: 1}}, USERS)
    publication = changed(before, after)
    assert data(publication, "@a") == []
    assert data(publication, "@b") == standings((ALICE, 1, 1))
    assert data(publication, "@a", "@b") is data(publication, "@c") is None


def test_points_whose_rights_are_unknown_are_nobodys_to_see() -> None:
    publication = changed(Podium(), Podium({None: {101: 1}}, USERS))
    assert data(publication, "@a", "@b") is None
    assert publication.kwargs == {"cmd": "testmanagement_podium:update", "data": standings((ALICE, 1, 1))}


def test_attack_the_podium_of_a_campaign_that_was_forgotten_since_is_told_to_no_user() -> None:
    campaigns = Campaigns(max=1, idle_seconds=9, max_publications=1000)
    campaign = campaigns.campaign(CAMPAIGN, 1000)
    campaign.ledger.podium = Podium({A: {101: 1}}, USERS)
    publication = podium_changed(campaign, Podium(), campaigns)(id=7)
    assert data(publication, "@a") == standings((ALICE, 1, 1))
    campaigns.campaign("org.tuleap.testmanagement.10", 1000)
    assert data(publication, "@a") is None
    campaigns.campaign(CAMPAIGN, 1000)
    assert data(publication, "@a") is None


def test_another_representation_of_a_user_is_another_podium_to_those_who_see_him() -> None:
    before = Podium({A: {101: 1}, B: {102: 1}}, USERS)
    after = Podium({A: {101: 1}, B: {102: 1}}, {101: JsonText(b'{"id":101,"x":1}'), 102: BOB})
    publication = changed(before, after)
    assert data(publication, "@a") is not None
    assert data(publication, "@b") is None


def test_those_who_see_the_same_podium_share_it_and_submitters_are_asked_for() -> None:
    publication = changed(Podium(), Podium({A: {101: 1}, OWN: {102: 1}}, USERS))
    assert publication.view(frozenset({"@a"}), None) is publication.view(frozenset({"@a", "@c"}), 103)
    assert publication.submitters == {102}
    assert data(publication, "@a", user_id=102) == standings((ALICE, 1, 1), (BOB, 1, 1))
