"""What the commands of a campaign say, and what is wrong with those that do not."""

import json
from typing import Any

import pytest

from tests.fakes import wire
from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.commands import Created, Deleted, Linked, Updated, Viewing, command_of
from tuleaprt.tuleap.message import decode
from tuleaprt.wamp.publication import Window

WINDOW = Window(101, "7b1c8d2e-3f4a-4b5c-9d6e-0f1a2b3c4d5e")
PRESENCE = "testmanagement_user:presence"
UPDATE = "testmanagement_execution:update"
VIEWER = {"id": 101, "real_name": "Alice Martin"}


def presence(**changes: Any) -> dict[str, Any]:
    said = {"execution_id": 39, "uuid": WINDOW.uuid, "remove_from": "", "user": VIEWER} | changes
    return {"presence": {key: value for key, value in said.items() if value is not ...}}


def viewing(**changes: Any) -> Viewing:
    command = command_of(PRESENCE, presence(**changes), WINDOW)
    assert isinstance(command, Viewing)
    return command


def refusal(cmd: str, data: Any, sender: Window | None = WINDOW) -> tuple[str, str]:
    with pytest.raises(RefusedMessage) as refused:
        command_of(cmd, data, sender)
    return refused.value.code, refused.value.path


def test_what_tuleap_posts_is_understood() -> None:
    assert decode(wire("testmanagement_execution_create")).command == Created(execution=41)
    assert decode(wire("testmanagement_execution_delete")).command == Deleted(execution=41)
    assert decode(wire("testmanagement_execution_link_artifact")).command == Linked(execution=39)
    updated = decode(wire("testmanagement_execution_update")).command
    assert isinstance(updated, Updated)
    assert (updated.execution, updated.status, updated.author) == (39, "passed", 101)
    assert json.loads(updated.user.text)["username"] == "alice"
    assert updated.is_automated is None
    assert decode(wire("testmanagement_campaign_update")).command is None
    assert decode(wire("kanban_item_create")).command is None


@pytest.mark.parametrize(
    ("variant", "execution", "left"), [("", 39, None), ("__switch", 40, 39), ("__leave", 40, 40)]
)
def test_presence_that_tuleap_posts_is_understood(variant: str, execution: int, left: int | None) -> None:
    command = decode(wire(f"testmanagement_user_presence{variant}")).command
    assert isinstance(command, Viewing)
    assert (command.execution, command.left, command.window) == (execution, left, WINDOW)


def test_a_viewer_is_the_user_as_posted_and_his_window() -> None:
    posted = json.loads(wire("testmanagement_user_presence"))["data"]["presence"]["user"]
    command = decode(wire("testmanagement_user_presence")).command
    assert isinstance(command, Viewing)
    viewer = json.loads(command.viewer.text)
    assert viewer == posted | {"uuid": WINDOW.uuid}
    assert list(viewer) == [*posted, "uuid"]


def test_an_id_and_its_text_are_one() -> None:
    assert viewing(execution_id="39", remove_from=40) == viewing(execution_id=39, remove_from="40")


@pytest.mark.parametrize(
    "id", [0, -1, 2**53, 3.0, True, None, "", "039", " 39", "39 ", "٣٩", "3.0", "x", [39]]
)
def test_what_is_no_canonical_id_is_no_execution(id: object) -> None:
    assert refusal(PRESENCE, presence(execution_id=id))[1] == "$.data.presence.execution_id"
    if id != "":
        assert refusal(PRESENCE, presence(remove_from=id))[1] == "$.data.presence.remove_from"
    for cmd in ("create", "delete", "link_artifact"):
        assert refusal(f"testmanagement_execution:{cmd}", {"artifact_id": id})[1] == "$.data.artifact_id"


@pytest.mark.parametrize("key", ["execution_id", "uuid", "remove_from", "user"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    assert refusal(PRESENCE, presence(**{key: ...})) == ("invalid_data", f"$.data.presence.{key}")


@pytest.mark.parametrize("data", [None, [], "", {}, {"presence": []}])
def test_presence_that_is_none_is_refused(data: object) -> None:
    assert refusal(PRESENCE, data)[1] in ("$.data", "$.data.presence")


def test_presence_with_the_uuid_of_another_window_is_refused() -> None:
    assert refusal(PRESENCE, presence(uuid="22222222")) == ("other_window", "$.data.presence.uuid")
    assert refusal(PRESENCE, presence(), None) == ("other_window", "$.data.presence.uuid")


def test_presence_in_the_name_of_another_user_is_refused() -> None:
    for user in ({"id": 102}, {"id": None}):
        assert refusal(PRESENCE, presence(user=user)) == ("other_user", "$.data.presence.user.id")
    anonymous = command_of(PRESENCE, presence(user={"id": None}), Window(0, WINDOW.uuid))
    assert isinstance(anonymous, Viewing)


def test_a_uuid_that_no_window_can_have_is_refused() -> None:
    uuid = "x" * 129
    assert refusal(PRESENCE, presence(uuid=uuid), Window(101, uuid))[0] == "long_uuid"


def result(**changes: Any) -> dict[str, Any]:
    return {"artifact_id": 39, "status": "passed", "user": VIEWER} | changes


def test_an_anonymous_author_is_nobody() -> None:
    updated = command_of(UPDATE, result(user={"id": None, "display_name": "x"}), None)
    assert isinstance(updated, Updated)
    assert updated.author is None


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"artifact_id": None}, "$.data.artifact_id"),
        ({"status": 7}, "$.data.status"),
        ({"user": None}, "$.data.user"),
        ({"user": {"id": "101"}}, "$.data.user.id"),
        ({"user": {"id": -1}}, "$.data.user.id"),
        ({"user": {}}, "$.data.user.id"),
        ({"automated": "no"}, "$.data.automated"),
    ],
    ids=str,
)
def test_a_result_that_is_none_is_refused(changes: dict[str, Any], path: str) -> None:
    assert refusal(UPDATE, result(**changes)) == ("invalid_data", path)


def test_a_result_may_show_that_it_is_automated() -> None:
    updated = command_of(UPDATE, result(automated=True), None)
    assert isinstance(updated, Updated)
    assert updated.is_automated is True
