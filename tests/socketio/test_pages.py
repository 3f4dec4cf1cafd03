"""One page: from CONNECT over its subscription to its end, and what comes back after an interruption."""

import json
from typing import Any

import pytest

from tests.fakes import CAMPAIGN, KANBAN, MEMBER, body, wire
from tests.socketio.conftest import named, post
from tests.world import GRACE, PageWindow, World
from tuleaprt.wamp.outlet import End

EXPIRED = ("error-jwt", "JWTExpired")


# A page's life.


def test_a_page_that_subscribes_is_a_session_of_the_realm(world: World, page: PageWindow) -> None:
    (session,) = world.realm.sessions.values()
    assert (session.identity.user_id, session.window) == (102, "u-page")
    assert world.realm.sessions.windows.keys() == {(102, "u-page")}
    post(world, data=7)
    assert page.events() == named(7)
    page.lose()
    assert not world.realm.sessions
    assert not len(world.realm.broker.subscriptions)


def test_a_campaign_page_is_told_the_viewers(world: World) -> None:
    page = PageWindow(world, "/testmanagement")
    page.subscribe("testmanagement_9")
    assert page.events() == [("presences", {})]


def test_an_unknown_namespace_is_refused_and_another_may_be_tried(world: World) -> None:
    page = PageWindow(world, None)
    page.say("40/admin,")
    assert page.outlet.packets.pop() == b'44/admin,{"message":"Invalid namespace"}'
    page.say("40")
    assert page.take() == [("0", {"sid": "sid"})]


def test_an_unknown_event_is_ignored(page: PageWindow) -> None:
    page.emit("no such event", {})
    page.say('42["subscription_"]')
    page.say('427["wants an answer"]')
    page.say("437[]")
    assert (page.take(), page.ended) == ([], None)


def test_a_page_that_says_goodbye_leaves_at_once(world: World, page: PageWindow) -> None:
    page.say("41")
    assert page.ended == (End.GOODBYE, "")
    assert not world.realm.sessions


def test_a_client_that_closes_its_session_is_gone(world: World, page: PageWindow) -> None:
    page.say("1")
    assert page.ended == (End.GOODBYE, "")
    assert not world.realm.sessions


# The same socket subscribes again.


def test_to_another_campaign_leaves_the_former_one(world: World) -> None:
    page = PageWindow(world, "/testmanagement")
    page.subscribe("testmanagement_9")
    page.subscribe("testmanagement_10")
    page.take()
    assert [it.topic for it in world.realm.broker.subscriptions] == [CAMPAIGN.replace("9", "10")]
    (session,) = world.realm.sessions.values()
    assert len(session.subscriptions) == 1


def test_to_the_same_room_keeps_the_session_and_never_shortens_it(world: World, page: PageWindow) -> None:
    (before,) = world.realm.sessions.values()
    expires_at = before.identity.expires_at
    page.subscribe(lifetime=60)
    assert list(world.realm.sessions.values()) == [before]
    assert before.identity.expires_at == expires_at
    post(world, data=1)
    assert page.events() == named(1)


def test_attack_as_another_user_ends_the_session_of_the_first(world: World, page: PageWindow) -> None:
    page.subscribe(user_id=103, groups=[])
    (session,) = world.realm.sessions.values()
    assert session.identity.user_id == 103
    assert session.identity.groups == frozenset()


# Refusals.


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.1.0"},
        {"token": "no token"},
        {"room_id": 0},
        {"uuid": ""},
        {"room_id": "testmanagement_9"},
    ],
    ids=str,
)
def test_a_refused_page_is_disconnected_for_good(world: World, wrong: dict[str, Any]) -> None:
    page = PageWindow(world)
    page.subscribe(**wrong)
    assert page.take() == [("1", None)]
    assert page.ended is not None
    assert page.ended[0] is End.REFUSED
    assert page.ended[1]
    assert not world.realm.sessions


def test_attack_a_room_that_the_token_does_not_list_is_refused(world: World) -> None:
    page = PageWindow(world)
    page.subscribe(rooms=["org.tuleap.kanban.4"])
    assert page.take() == [("1", None)]
    assert page.ended == (End.REFUSED, "the token does not cover the room")


def test_attack_more_sessions_than_a_user_may_have(world: World) -> None:
    world.realm.max_sessions_per_user = 1
    first = PageWindow(world, uuid="a")
    first.subscribe()
    second = PageWindow(world, uuid="b")
    second.subscribe()
    assert second.take() == [("1", None)]
    assert second.ended is not None
    assert second.ended[0] is End.REFUSED
    assert len(world.realm.sessions) == 1


@pytest.mark.parametrize(
    "packet",
    [
        *("", "x", "0", "2", "2probe", "5", "6", "3probe", "4", "4x", "42", '42["connect"]', "45", "46"),
        '451-["x",{"_placeholder":true,"num":0}]',
        "40",
        "40/testmanagement,",
        '42/testmanagement,["subscription",{}]',
        '44{"message":"x"}',
        "42" + "[" * 10_000,
    ],
)
def test_attack_by_a_packet_that_has_no_place_ends_the_connection(page: PageWindow, packet: str) -> None:
    page.say(packet)
    assert page.ended is not None
    assert page.ended[0] is End.VIOLATION
    assert page.take() == []
    page.say('42["subscription",{}]')
    assert page.take() == []


@pytest.mark.parametrize("packet", ['42["subscription",{}]', "41", '42["token",{}]', "43[]", "42"])
def test_attack_by_an_event_before_connect_ends_the_connection(world: World, packet: str) -> None:
    page = PageWindow(world, None)
    page.say(packet)
    assert page.ended is not None
    assert page.ended[0] is End.VIOLATION


def test_attack_by_very_many_packets_ends_the_connection(world: World) -> None:
    world.pages.requests_per_second = 10
    page = PageWindow(world)
    for _ in range(20):
        page.emit("x", 1)
    assert page.ended == (End.FLOOD, "")


def test_attack_by_long_packets_that_count_as_many(world: World) -> None:
    world.pages.requests_per_second = 10
    page = PageWindow(world)
    page.emit("x", "x" * 200_000)
    page.emit("x", 1)
    assert page.ended == (End.FLOOD, "")


# Tokens.


def test_a_refresh_keeps_the_session_beyond_its_token(world: World, page: PageWindow) -> None:
    world.wait(1000)
    page.emit("token", {"token": world.ticket(102, MEMBER)})
    world.wait(1000)
    post(world, data=1)
    assert page.events() == named(1)


@pytest.mark.parametrize("argument", [None, {}, {"token": 1}, {"token": "x"}, {"token": None}, [], "x"])
def test_a_bad_refresh_changes_nothing_and_is_logged_once(page: PageWindow, argument: object) -> None:
    page.emit("token", argument)
    assert (page.take(), page.ended, len(page.outlet.notes)) == ([], None, 1)


def test_attack_a_refresh_with_another_users_token_changes_nothing(world: World, page: PageWindow) -> None:
    page.emit("token", {"token": world.ticket(103, ["@admin"])})
    (session,) = world.realm.sessions.values()
    assert (session.identity.user_id, session.identity.groups) == (102, frozenset(MEMBER))


def test_a_refresh_before_the_subscription_is_ignored(world: World) -> None:
    page = PageWindow(world)
    page.emit("token", {"token": world.ticket(102, MEMBER)})
    assert (page.take(), page.ended) == ([], None)


def test_a_refresh_whose_token_does_not_cover_the_room_ends_the_page(world: World, page: PageWindow) -> None:
    page.emit("token", {"token": world.ticket(102, MEMBER, 1800, rooms=[])})
    assert page.take() == [("1", None)]
    assert page.ended is not None
    assert page.ended[0] is End.REFUSED


def test_when_the_token_ends_the_page_is_asked_for_another_and_gets_what_it_missed(world: World) -> None:
    page = PageWindow(world)
    page.subscribe(lifetime=100)
    post(world, data=1)
    assert page.events() == named(1)
    world.wait(100)
    assert page.events() == [EXPIRED]
    assert not world.realm.sessions
    post(world, data=2)
    assert page.take() == []
    page.subscribe()
    assert page.events() == named(2)
    post(world, data=3)
    assert page.events() == named(3)


def test_a_page_that_does_not_answer_is_disconnected(world: World) -> None:
    page = PageWindow(world)
    page.subscribe(lifetime=100)
    world.wait(100)
    assert page.events() == [EXPIRED]
    world.wait(10)
    assert page.take() == [("1", None)]
    assert page.ended == (End.SILENT, "")


def test_attack_by_expired_tokens_asks_three_times_a_minute_and_names_the_clocks(world: World) -> None:
    page = PageWindow(world)
    for _ in range(3):
        page.subscribe(lifetime=-1)
        assert page.events() == [EXPIRED]
    page.subscribe(lifetime=-1)
    assert page.take() == [("1", None)]
    assert page.ended is not None
    assert page.ended[0] is End.EXPIRED
    assert "clocks" in page.ended[1]


def test_three_times_a_minute_is_no_limit_for_the_next_minute(world: World) -> None:
    page = PageWindow(world)
    for _ in range(9):
        page.subscribe(lifetime=-1)
        assert page.events() == [EXPIRED]
        world.wait(9)
        page.subscribe(lifetime=40)
        assert page.events() == []
        world.wait(15)
    assert page.ended is None


def test_a_page_that_says_nothing_is_reminded_once(world: World) -> None:
    page = PageWindow(world)
    world.wait(4.9)
    assert page.take() == []
    world.wait(0.2)
    assert page.events() == [EXPIRED]
    world.wait(9)
    assert page.take() == []
    world.wait(2)
    assert page.take() == [("1", None)]


def test_attack_a_client_that_never_connects_is_closed(world: World) -> None:
    page = PageWindow(world, None)
    world.wait(10)
    assert (page.take(), page.ended) == ([], (End.SILENT, ""))


def test_a_page_that_answers_pings_stays_and_one_that_does_not_is_lost(
    world: World, page: PageWindow
) -> None:
    world.wait(500)
    assert (page.take(), page.ended) == ([], None)
    page.is_alive = False
    world.wait(25 + 20 + 1)
    assert page.take() == ["2"]
    assert page.ended == (End.UNANSWERED, "")
    assert not world.realm.sessions


# Nothing is lost.


def test_a_window_that_comes_back_gets_what_it_missed_in_order_and_once(
    world: World, page: PageWindow
) -> None:
    post(world, data=1)
    assert page.events() == named(1)
    page.lose()
    post(world, data=2)
    post(world, data=3)
    again = PageWindow(world)
    again.subscribe()
    assert again.events() == named(2, 3)
    post(world, data=4)
    assert again.events() == named(4)
    assert world.metrics.results == [("history read", "complete")]


def test_its_own_posts_are_left_out(world: World, page: PageWindow) -> None:
    page.lose()
    post(world, data=1, sender_user_id=102, sender_uuid="u-page")
    post(world, data=2, sender_user_id=102, sender_uuid="u-other")
    again = PageWindow(world)
    again.subscribe()
    assert again.events() == named(2)


def test_attack_with_the_rights_of_now(world: World, page: PageWindow) -> None:
    page.lose()
    world.post(body(cmd="kanban_item:create", data={"artifact_id": 5}))
    again = PageWindow(world)
    again.subscribe(groups=[])
    assert again.events() == []


def test_attack_the_position_of_another_user_is_of_no_use(world: World, page: PageWindow) -> None:
    page.lose()
    post(world, data=1)
    other = PageWindow(world)
    other.subscribe(user_id=103)
    assert other.events() == []


def test_a_new_window_gets_no_history(world: World, page: PageWindow) -> None:
    post(world, data=1)
    new = PageWindow(world, uuid="u-new")
    new.subscribe()
    assert new.events() == []


def test_a_page_that_left_the_room_itself_gets_no_history_there(world: World) -> None:
    page = PageWindow(world, "/testmanagement")
    page.subscribe("testmanagement_9")
    page.subscribe("testmanagement_10")
    post(world, cmd="testmanagement_campaign:update", data={"artifact_id": 1}, room_id="testmanagement_9")
    page.take()
    page.subscribe("testmanagement_9")
    assert page.events() == [("presences", {})]


def test_where_the_history_does_not_reach_it_is_logged_and_counted(world: World, page: PageWindow) -> None:
    page.lose()
    for number in range(600):
        post(world, data=number)
    again = PageWindow(world)
    again.subscribe()
    assert again.events() == []
    assert world.metrics.results == [("history read", "position_lost")]
    assert len(again.outlet.notes) == 1
    again.lose()
    post(world, data="later")
    third = PageWindow(world)
    third.subscribe()
    assert third.events() == named("later")


def test_more_than_fits_into_the_outbound_queue_counts_as_lost(world: World, page: PageWindow) -> None:
    page.lose()
    for _ in range(3):
        post(world, data="x" * 50_000)
    again = PageWindow(world)
    again.subscribe()
    assert (again.events(), world.metrics.results) == ([], [("history read", "position_lost")])


def test_what_was_not_handed_over_when_the_socket_was_lost_is_replayed(
    world: World, page: PageWindow
) -> None:
    """The fan-out is behind, so the newest publication is not what the page has."""
    post(world, data=1)
    handed = page.outlet.handed
    post(world, data=2)
    page.outlet.handed, page.outlet.missing = handed, page.outlet.handed
    page.lose()
    again = PageWindow(world)
    again.subscribe()
    assert again.events() == named(2)


def test_what_waits_for_a_session_is_not_sent_after_its_end(world: World, page: PageWindow) -> None:
    page.lose()
    post(world, data=1)
    again = PageWindow(world)
    again.outlet.waiting = []
    again.subscribe()
    again.lose()
    for do in again.outlet.waiting:
        do()
    assert again.take() == []
    third = PageWindow(world)
    third.subscribe()
    assert third.events() == named(1)


# Both kinds of client.


def test_a_windows_own_post_is_left_out_across_the_kinds_of_client(world: World, page: PageWindow) -> None:
    wamp = world.open(102, MEMBER, "u-wamp")
    wamp.subscribe(KANBAN)
    wamp.take()
    post(world, data=1, sender_user_id=102, sender_uuid="u-wamp")
    post(world, data=2, sender_user_id=102, sender_uuid="u-page")
    assert page.events() == named(1)
    assert [it["data"] for it in wamp.events()] == [2]


def test_one_window_moves_from_one_kind_of_client_to_the_other(world: World, page: PageWindow) -> None:
    wamp = world.open(102, MEMBER, "u-page")
    assert page.take() == [("1", None)]
    assert len(world.realm.sessions) == 1
    back = PageWindow(world)
    back.subscribe()
    assert wamp.ended() == "org.tuleap.close.replaced"
    assert len(world.realm.sessions) == 1


def test_a_page_shows_its_viewer_to_the_others_until_the_grace_is_over(world: World) -> None:
    viewer = PageWindow(world, "/testmanagement", "u-viewer")
    viewer.subscribe("testmanagement_9", 101)
    reader = PageWindow(world, "/testmanagement", "u-reader")
    reader.subscribe("testmanagement_9")
    wamp = world.open(103, MEMBER, "u-wamp")
    wamp.subscribe(CAMPAIGN)
    presence = {"execution_id": 40, "remove_from": "", "uuid": "u-viewer", "user": {"id": 101}}
    world.post(
        body(
            cmd="testmanagement_user:presence",
            room_id="testmanagement_9",
            sender_user_id=101,
            sender_uuid="u-viewer",
            data={"presence": presence},
        )
    )
    [(_, change)] = [it for it in reader.events() if it[0] == "testmanagement_user:presence"]
    assert change["execution_to_add"] == 40
    viewer.lose()
    assert reader.take() == []
    world.wait(GRACE)
    assert reader.events() == [("user:leave", "u-viewer")]
    assert [it["cmd"] for it in wamp.events()] == ["testmanagement_user:presence", "user:leave"]


def test_a_page_that_moves_to_another_transport_goes_on(world: World, page: PageWindow) -> None:
    post(world, data=1)
    other = type(page.outlet)()
    other.handed = 0
    page.page.move(other)
    page.outlet = other
    post(world, data=2)
    assert page.events() == named(2)
    assert other.namespace == "/"
    page.lose()
    again = PageWindow(world)
    again.subscribe()
    assert again.events() == []


def test_details_for_operators(world: World, page: PageWindow) -> None:
    operator = world.open(1, [], role="operator")
    (id,) = (it.id for it in world.realm.sessions.values() if it.identity.user_id == 102)
    details = operator.call("wamp.session.get", id)
    assert details["transport"]["type"] == "socketio"
    assert "token" not in json.dumps(details)


def test_a_packet_after_the_end_of_the_token_finds_no_session(world: World) -> None:
    page = PageWindow(world)
    page.subscribe(lifetime=20)
    world.clock.advance(20)
    page.emit("token", {"token": world.ticket(102, MEMBER)})
    assert page.events() == [EXPIRED]
    assert not world.realm.sessions


def test_the_end_comes_once(world: World, page: PageWindow) -> None:
    page.say("41")
    page.page.wake(world.now + 10_000)
    page.page.finish(End.KILLED)
    page.page.schedule()
    assert (page.take(), page.ended) == ([], (End.GOODBYE, ""))


def test_a_page_may_move_to_another_transport_before_it_connects(world: World) -> None:
    page = PageWindow(world, None)
    other = type(page.outlet)()
    page.page.move(other)
    page.outlet = other
    page.say("40/testmanagement,")
    assert other.namespace == "/testmanagement"


def test_a_page_does_not_get_the_podium_that_it_missed(world: World) -> None:
    page = PageWindow(world, "/testmanagement")
    page.subscribe("testmanagement_9")
    page.lose()
    update = json.loads(wire("testmanagement_execution_update")) | {"sender_uuid": None}
    assert world.post(update | {"room_id": "testmanagement_9"}) != 422
    again = PageWindow(world, "/testmanagement")
    again.subscribe("testmanagement_9")
    assert [name for name, _ in again.events()] == ["testmanagement_execution:update", "presences"]


def test_attack_a_packet_that_arrives_at_the_end_of_its_page_does_not_join(world: World) -> None:
    page = PageWindow(world)
    page.subscribe(lifetime=44)
    page.page.wake(world.now + 25)
    world.clock.advance(45)
    page.subscribe()
    assert page.ended is not None
    assert len(world.realm.sessions) == 0


def test_what_a_page_takes_late_after_it_has_left_its_room_is_not_remembered(world: World) -> None:
    page = PageWindow(world)
    page.subscribe()
    page.say("41")
    page.page.taken_late(7)
    assert len(world.pages.positions) == 0
