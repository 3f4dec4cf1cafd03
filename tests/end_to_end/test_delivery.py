"""From Tuleap's post to the browsers that may see it, and to no other."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.clients import Client, WampError, received
from tests.end_to_end.server import Server
from tests.fakes import CAMPAIGN, KANBAN, MEMBER, WIRE, body, cases, ticket, wire

ensure = pytest_twisted.ensureDeferred
Windows = Callable[[], Client]
SENDER, SENDER_WINDOW = 101, "7b1c8d2e-3f4a-4b5c-9d6e-0f1a2b3c4d5e"
ALL_GROUPS = [*MEMBER, "@gpig_project_admin", "@ug_158", "@ug_159"]


async def watching(
    window: Windows,
    user_id: int = 102,
    groups: Any = MEMBER,
    *,
    uuid: str | None = None,
    topics: tuple[str, ...] = (KANBAN,),
    **claims: Any,
) -> Client:
    client = window()
    await client.open(ticket(user_id, groups, **claims), uuid)
    for topic in topics:
        await client.subscribe(topic)
    return client


@ensure
async def test_welcome_says_who_one_is(window: Windows) -> None:
    opened = await window().open(ticket(4711, exp=4_000_000_000))
    assert (opened["authid"], opened["authrole"]) == ("4711", "user")
    assert list(opened["authextra"]) == ["expires_at"]


@ensure
async def test_all_that_tuleap_posts_reaches_who_may_see_it_unchanged(
    window: Windows, server: Server
) -> None:
    insider = await watching(window, groups=ALL_GROUPS, topics=(KANBAN, CAMPAIGN))
    outsider = await watching(
        window, 103, ["@site_restricted", "@other_project_members"], topics=(KANBAN, CAMPAIGN)
    )
    sender = await watching(window, SENDER, ALL_GROUPS, uuid=SENDER_WINDOW, topics=(KANBAN, CAMPAIGN))
    made_by_the_server = ("testmanagement_user:presence", "testmanagement_podium:update")

    async def passed_on(client: Client) -> list[dict[str, Any]]:
        return [it for it in await received(client) if it["kwargs"]["cmd"] not in made_by_the_server]

    expected = []
    # A linked bug is shown when the rights of the execution are known.
    for path in sorted(WIRE, key=lambda it: it.stem == "testmanagement_execution_link_artifact"):
        answer = await server.post(path.read_bytes())
        assert answer.status == 200
        posted = json.loads(path.read_bytes())
        if posted["cmd"] not in made_by_the_server:
            kwargs = {"cmd": posted["cmd"], "data": posted["data"]}
            expected.append((answer.json["publication"], kwargs, posted["sender_uuid"]))
    assert len(expected) == 19
    assert await passed_on(insider) == [
        {"args": [], "kwargs": kwargs, "publication": id} for id, kwargs, _ in expected
    ]
    assert await received(outsider) == []
    assert await passed_on(sender) == [
        {"args": [], "kwargs": kwargs, "publication": id} for id, kwargs, uuid in expected if uuid is None
    ]


@ensure
async def test_member_and_non_member(window: Windows, server: Server) -> None:
    member = await watching(window, 165)
    stranger = await watching(window, 166, ["@site_active"])
    groupless = await watching(window, 167, [])
    members_only = body()["rights"] | {"tracker": ["@gpig_project_admin", "@gpig_project_members"]}
    await server.post(body(rights=members_only))
    assert len(await received(member)) == 1
    assert await received(stranger) == []
    assert await received(groupless) == []


@ensure
async def test_of_two_users_with_equal_groups_only_the_submitter_sees_what_he_submitted(
    window: Windows, server: Server
) -> None:
    groups = ["@site_active", "@ug_159"]
    submitter = await watching(window, 165, groups)
    other = await watching(window, 166, groups)
    own = {
        "submitter_id": 165,
        "submitter_can_view": True,
        "submitter_only": ["@ug_159"],
        "artifact": [],
        "tracker": ["@gpig_project_admin"],
    }
    await server.post(body(rights=own))
    assert len(await received(submitter)) == 1
    assert await received(other) == []


@ensure
async def test_the_senders_window_gets_no_echo_and_his_other_windows_do(
    window: Windows, server: Server
) -> None:
    sending = await watching(window, SENDER, uuid=SENDER_WINDOW)
    same_user = await watching(window, SENDER, uuid="another window")
    nameless = await watching(window, SENDER)
    same_uuid = await watching(window, 102, uuid=SENDER_WINDOW)
    await server.post(wire("kanban_item_create"))
    assert [len(await received(it)) for it in (sending, same_user, nameless, same_uuid)] == [0, 1, 1, 1]


@pytest.mark.parametrize("uuid", [None, "", "a window that is not here"])
@ensure
async def test_a_sender_without_a_window_here_leaves_out_nobody(
    window: Windows, server: Server, uuid: str | None
) -> None:
    own_window = await watching(window, SENDER, uuid=SENDER_WINDOW)
    await server.post(body(sender_uuid=uuid))
    assert len(await received(own_window)) == 1


@ensure
async def test_rooms_are_apart(window: Windows, server: Server) -> None:
    watcher = await watching(window, topics=("org.tuleap.kanban.4", "org.tuleap.testmanagement.3"))
    await server.post(wire("kanban_item_create"))
    assert await received(watcher) == []


@ensure
async def test_a_room_by_number_and_by_text_is_one(window: Windows, server: Server) -> None:
    watcher = await watching(window)
    await server.post(body(room_id="3"))
    await server.post(body(room_id=3))
    assert len(await received(watcher)) == 2


@ensure
async def test_operators_receive_all(window: Windows, server: Server) -> None:
    operator = await watching(window, 1, [], role="operator")
    for path in WIRE:
        await server.post(path.read_bytes())
    assert len(await received(operator)) == len([it for it in WIRE if "kanban" in it.name])


@ensure
async def test_order_is_kept(window: Windows, server: Server) -> None:
    watcher = await watching(window)
    for number in range(20):
        await server.post(body(data={"number": number}))
    assert [it["kwargs"]["data"]["number"] for it in await received(watcher)] == list(range(20))


@ensure
async def test_who_unsubscribes_or_leaves_gets_nothing_more(window: Windows, server: Server) -> None:
    watcher = window()
    await watcher.open(ticket())
    id = await watcher.subscribe(KANBAN)
    await server.post(wire("kanban_item_create"))
    assert len(await received(watcher)) == 1
    await watcher.unsubscribe(id)
    await server.post(wire("kanban_item_create"))
    assert await received(watcher) == []
    await watcher.leave()
    assert await watcher.closed == "wamp.close.goodbye_and_out"
    assert watcher.cleanly


@pytest.mark.parametrize(
    ("topic", "options", "error"),
    [
        ("org.tuleap.kanban.03", {}, "wamp.error.not_authorized"),
        ("org.tuleap.kanban.-1", {}, "wamp.error.not_authorized"),
        ("wamp.session.on_join", {}, "wamp.error.not_authorized"),
        ("org.tuleap.kanban", {"match": "prefix"}, "wamp.error.not_authorized"),
        ("org.tuleap.kanban.3\n", {}, "wamp.error.invalid_uri"),
    ],
)
@ensure
async def test_a_user_subscribes_to_rooms_only(
    window: Windows, topic: str, options: dict[str, Any], error: str
) -> None:
    client = window()
    await client.open(ticket())
    with pytest.raises(WampError, match=error):
        await client.subscribe(topic, **options)


@ensure
async def test_a_list_of_rooms_in_the_ticket_is_all_there_is(window: Windows) -> None:
    client = window()
    await client.open(ticket(rooms=[CAMPAIGN]))
    await client.subscribe(CAMPAIGN)
    with pytest.raises(WampError, match=r"wamp\.error\.not_authorized"):
        await client.subscribe(KANBAN)


@ensure
async def test_a_user_publishes_calls_and_registers_nothing(window: Windows, server: Server) -> None:
    watcher = await watching(window)
    for asked, error in (
        (watcher.publish(KANBAN), "wamp.error.not_authorized"),
        (watcher.call("wamp.session.list"), "wamp.error.not_authorized"),
        (watcher.register("my.procedure"), "wamp.error.not_authorized"),
    ):
        with pytest.raises(WampError, match=error):
            await asked
    assert await received(watcher) == []


@pytest.mark.parametrize("case", cases("rights_cases.json"), ids=lambda case: str(case["id"]))
@ensure
async def test_rights_case(server: Server, node: Any, case: dict[str, Any]) -> None:
    groups, user_id = case["user_rights"], case["user_id"]
    no_ticket = not isinstance(groups, list) or not all(isinstance(it, str) for it in groups) or not user_id
    client = node.client(server.url)
    if no_ticket:
        # Such a token opens no session, so its user receives nothing.
        with pytest.raises(WampError, match=r"wamp\.error\.authentication_denied"):
            await client.open(ticket(user_id, groups))
        assert case["tuleaprt"]["receives"] is False
        return
    await client.open(ticket(user_id, groups))
    await client.subscribe(KANBAN)
    answer = await server.post(body(rights=case["rights"], sender_uuid=None))
    assert answer.status == 200 or not case["tuleaprt"]["receives"]
    assert (len(await received(client)) == 1) is case["tuleaprt"]["receives"], case["why"]
    await client.leave()
    await client.closed
