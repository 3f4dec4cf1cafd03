"""What an operator publishes over WAMP is held to the rules of a post."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import CAMPAIGN, KANBAN, body, data_of
from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.inputs import message_of

GOOD: dict[str, Any] = {
    "cmd": "kanban_item:create",
    "data": {"artifact_id": 321, "x": [2.5, None]},
    "rights": body()["rights"],
}


def test_it_is_the_message_that_a_post_would_be_of_no_sender() -> None:
    message = message_of(KANBAN, [], GOOD)
    assert message is not None
    assert (message.topic, message.cmd, data_of(message)) == (KANBAN, "kanban_item:create", GOOD["data"])
    assert message.sender is None
    assert message.rights.admit(frozenset(GOOD["rights"]["tracker"]), None)


def test_campaigns_have_their_own_commands() -> None:
    message = message_of(CAMPAIGN, [], {**GOOD, "cmd": "testmanagement_campaign:update"})
    assert message is not None
    assert message.topic == CAMPAIGN


@pytest.mark.parametrize("topic", ["org.tuleap.kanban.03", "org.tuleap.kanban.", "wamp.session.on_join", "x"])
def test_there_is_nothing_to_publish_on_but_rooms(topic: str) -> None:
    assert message_of(topic, [], GOOD) is None


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"cmd": "testmanagement_campaign:update"}, "refused_command", "$.cmd"),
        ({"cmd": "user:leave"}, "refused_command", "$.cmd"),
        ({"rights": {**GOOD["rights"], "tracker": []}}, "invalid_rights", "$.rights.tracker"),
        ({"rights": None}, "invalid_rights", "$.rights"),
        ({"data": b"binary"}, "invalid_value", "$.data"),
        ({"data": {"a": [1, float("nan")]}}, "invalid_value", "$.data[...][1]"),
        ({"data": {1: 2}}, "invalid_value", "$.data (a key)"),
        ({"data": datetime(2026, 1, 1, tzinfo=UTC)}, "invalid_value", "$.data"),
        ({"data": "\0x"}, "invalid_text", "$.data"),
        ({"extra": 1}, "unknown_key", "$"),
    ],
    ids=str,
)
def test_what_a_post_could_not_say_is_refused(changes: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(RefusedMessage) as refused:
        message_of(KANBAN, [], GOOD | changes)
    assert (refused.value.code, refused.value.path) == (code, path)


@pytest.mark.parametrize("key", GOOD)
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(RefusedMessage) as refused:
        message_of(KANBAN, [], {name: value for name, value in GOOD.items() if name != key})
    assert refused.value.path == f"$.{key}"


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(RefusedMessage):
        message_of(KANBAN, [1], GOOD)


@pytest.mark.parametrize("depth", [101, 900, 5000])
def test_what_is_nested_too_deep_is_refused(depth: int) -> None:
    data: Any = 1
    for _ in range(depth):
        data = [data]
    with pytest.raises(Exception) as refused:
        message_of(KANBAN, [], {**GOOD, "data": data})
    assert getattr(refused.value, "code", "") == "too_deep"
