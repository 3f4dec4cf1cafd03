"""Rooms and topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.topics import MAX_ID, Family, room, room_id

NO_IDS = [
    "",
    "0",
    "03",
    "-1",
    "+3",
    " 3",
    "3 ",
    "3\n",
    "3.0",
    "1e3",
    "\u0663",
    "\uff13",
    "0x3",
    str(MAX_ID + 1),
    "9" * 5000,
]


def test_a_kanban_room_is_its_id() -> None:
    assert room(3) == room("3") == (Family.KANBAN, "org.tuleap.kanban.3")


def test_a_campaign_room_has_its_prefix() -> None:
    assert room("testmanagement_9") == (Family.TESTMANAGEMENT, "org.tuleap.testmanagement.9")


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_canonical_id_is_no_room_and_no_topic(text: str) -> None:
    for id in (text, f"testmanagement_{text}"):
        with pytest.raises(RefusedMessage) as refused:
            room(id)
        assert refused.value.path == "$.room_id"
    assert room_id(f"org.tuleap.kanban.{text}") is None
    assert room_id(f"org.tuleap.testmanagement.{text}") is None


@pytest.mark.parametrize(
    "room_id", [0, -1, MAX_ID + 1, "__proto__", "constructor", "kanban_3", "testmanagement"]
)
def test_room_of_no_known_kind_is_refused(room_id: int | str) -> None:
    with pytest.raises(RefusedMessage):
        room(room_id)


@pytest.mark.parametrize(
    "topic", ["org.tuleap.kanban", "org.tuleap.kanban.", "org.tuleap.secret.3", "kanban.3", ""]
)
def test_other_topics_are_no_rooms(topic: str) -> None:
    assert room_id(topic) is None


@given(st.integers(1, MAX_ID))
def test_the_topic_of_a_room_is_a_room_topic(id: int) -> None:
    assert room_id(room(id)[1]) == str(id)
    assert room_id(room(f"testmanagement_{id}")[1]) == f"testmanagement_{id}"
