"""The arguments of the pages' events, and the packets of the server's."""

from typing import Any

import pytest

from tests.fakes import CAMPAIGN, KANBAN
from tuleaprt.errors import RefusedMessage
from tuleaprt.socketio.events import Wanted, event_packet, read_subscription, read_token
from tuleaprt.tuleap.topics import Family

GOOD = {"nodejs_server_version": "2.0.0", "token": "t", "room_id": 3, "uuid": "u"}


def test_a_subscription_is_read() -> None:
    assert read_subscription([GOOD], Family.KANBAN) == Wanted("t", KANBAN, "u")
    assert read_subscription([GOOD | {"room_id": "3", "more": 1}, 2], Family.KANBAN).topic == KANBAN
    campaign = GOOD | {"room_id": "testmanagement_9"}
    assert read_subscription([campaign], Family.TESTMANAGEMENT).topic == CAMPAIGN


@pytest.mark.parametrize(
    "change",
    [
        *({"nodejs_server_version": it} for it in ("1.1.0", None, 2, "2.0.0 ")),
        *({"token": it} for it in (None, 1, [], {})),
        *({"uuid": it} for it in (None, 1, "", "u" * 129, [])),
        *(
            {"room_id": it}
            for it in (None, 0, -1, 1.5, True, "", "x", "3 ", [], {}, 2**53, "testmanagement_9")
        ),
        *({"room_id": it} for it in ("__proto__", "constructor", "testmanagement_", "testmanagement_9/../3")),
    ],
)
def test_attack_by_a_subscription_of_wrong_types_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedMessage):
        read_subscription([GOOD | change], Family.KANBAN)


@pytest.mark.parametrize("arguments", [[], [None], ["x"], [[]], [3], [{}]])
def test_attack_by_a_subscription_without_an_object_is_refused(arguments: list[Any]) -> None:
    with pytest.raises(RefusedMessage):
        read_subscription(arguments, Family.KANBAN)
    assert read_token(arguments) is None


def test_a_kanban_cannot_be_subscribed_to_among_the_campaigns() -> None:
    with pytest.raises(RefusedMessage, match="namespace"):
        read_subscription([GOOD], Family.TESTMANAGEMENT)


def test_a_page_gets_a_command_with_its_data() -> None:
    assert event_packet("/", {"cmd": "kanban:delete", "data": ""}) == b'42["kanban:delete",""]'
    assert event_packet("/testmanagement", {"cmd": "user:leave", "data": "u"}) == (
        b'42/testmanagement,["user:leave","u"]'
    )


def test_a_page_does_not_get_what_it_does_not_know() -> None:
    assert event_packet("/testmanagement", {"cmd": "testmanagement_podium:update", "data": []}) == b""
    assert event_packet("/", {}) == b""
