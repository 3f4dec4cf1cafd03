"""What the substitute posts is what Tuleap posts: byte by byte where a fixture says the same thing."""

import json
from typing import Any

import pytest

from demo import posts
from demo.campaign import Campaign, Execution
from demo.kanban import Card, Column, Kanban
from demo.posts import Rights, Sender
from demo.users import ACTIVE, ADMIN, MEMBERS, Directory
from tests.fakes import WIRE, wire
from tuleaprt.tuleap.message import decode

ALICE = Sender(101, "7b1c8d2e-3f4a-4b5c-9d6e-0f1a2b3c4d5e")
NO_WINDOW = Sender(140, None)
FIXTURES_RIGHTS = Rights(submitter_id=102, tracker=(ADMIN, ACTIVE, MEMBERS), submitter_only=())


@pytest.fixture(autouse=True)
def structure_as_in_the_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = (ADMIN, ACTIVE, MEMBERS, "@ug_159")
    monkeypatch.setattr(posts.structure_rights, "__defaults__", (tracker,))


def board(**columns: list[int]) -> Kanban:
    kanban = Kanban(3, "Guinea Pig", iter([15343, 322]).__next__)
    for id in (6580, 6816):
        kanban.columns.append(Column(id=id, label=str(id)))
    for name, ids in columns.items():
        column = int(name[1:]) if name[0] == "c" else name
        for id in ids:
            kanban.add(Card(id=id, label="card", rights=FIXTURES_RIGHTS), column)
    return kanban


def campaign(status: str = "notrun") -> Campaign:
    users = Directory().users
    campaign = Campaign(9, "Release", users, iter([41, 845]).__next__)
    campaign.rights = FIXTURES_RIGHTS
    for id in (39, 40, 41):
        campaign.executions[id] = Execution(
            id=id, label="test", rights=FIXTURES_RIGHTS, status=status, author=users[102]
        )
    return campaign


def test_json_is_written_as_php_writes_it() -> None:
    value = {"a/b": "Équipe \N{HAMSTER FACE} </script>", "c": [1, None, True]}
    assert posts.encode(value) == rb'{"a\/b":"\u00c9quipe \ud83d\udc39 <\/script>","c":[1,null,true]}'


@pytest.mark.parametrize("path", WIRE, ids=lambda path: path.stem)
def test_the_fixtures_are_written_by_the_same_hand(path: Any) -> None:
    assert posts.encode(json.loads(path.read_bytes())) == path.read_bytes()


def test_an_update_is_posted_as_by_tuleap() -> None:
    assert board(c6580=[321]).rename(ALICE, 321, "new")[0] == wire("kanban_item_update")


def test_a_move_to_another_column_is_an_update_and_a_move() -> None:
    kanban = board(c6580=[321], c6816=[302, 562])
    update, move = kanban.move(ALICE, 321, 6816, None)
    assert update == wire("kanban_item_update")
    expected = json.loads(wire("kanban_item_move"))
    expected["data"]["ordered_destination_column_items_ids"] = [302, 562, 321]
    assert json.loads(move) == expected


def test_a_place_in_another_column_is_a_reordering_besides() -> None:
    kanban = board(c6580=[321], c6816=[302, 562])
    posted = [json.loads(it)["data"] for it in kanban.move(ALICE, 321, 6816, before=562)]
    assert posted[-1] == {
        "ordered_destination_column_items_ids": [302, 321, 562],
        "artifact_id": 321,
        "in_column": 6816,
        "from_column": 6816,
    }


def test_a_reordering_is_posted_as_by_tuleap() -> None:
    kanban = board(backlog=[318, 319, 321])
    assert kanban.move(ALICE, 321, "backlog", before=318) == [wire("kanban_item_move__reorder_in_backlog")]


def test_a_creation_is_posted_as_by_tuleap() -> None:
    _, [created] = board().create(ALICE, "card", "backlog", FIXTURES_RIGHTS)
    assert created == wire("kanban_item_create").replace(b'"artifact_id":321', b'"artifact_id":15343')


def test_changes_of_columns_are_posted_as_by_tuleap() -> None:
    kanban = board()
    assert kanban.create_column(ALICE, "Review") == [wire("kanban_column_create")]
    assert kanban.edit_column(ALICE, 15343, "In review", 4) == [wire("kanban_column_edit")]
    assert kanban.edit_column(ALICE, 15343, None, 4) == [wire("kanban_column_edit__rest_client_wip_only")]
    assert kanban.order_columns(ALICE, [15343, 6580, 6816]) == [wire("kanban_column_move")]
    assert kanban.delete_column(ALICE, 15343) == [wire("kanban_column_delete")]
    label = "Équipe A / sprint board"
    assert kanban.rename_board(ALICE, label) == [wire("kanban_edit")]


def test_without_a_window_changes_of_the_structure_are_not_posted() -> None:
    for uuid in (None, "", "0"):
        assert board().create_column(Sender(101, uuid), "Review") == []
    assert board(c6580=[321]).rename(NO_WINDOW, 321, "new") != []


def test_a_result_is_posted_as_by_tuleap() -> None:
    assert campaign().set_status(ALICE, 39, "passed") == [wire("testmanagement_execution_update")]


def test_a_save_that_changes_nothing_is_not_posted() -> None:
    assert campaign("passed").set_status(ALICE, 39, "passed") == []


def test_presence_is_posted_as_by_tuleap() -> None:
    uuid = ALICE.uuid or ""
    for id, remove_from, name in ((39, "", ""), (40, "39", "__switch"), (40, "40", "__leave")):
        posted = campaign().set_presence(ALICE, id, uuid, remove_from)
        assert posted == [wire(f"testmanagement_user_presence{name}")]


def test_tests_that_come_and_go_are_posted_as_by_tuleap() -> None:
    deleted = campaign().delete(ALICE, 41)
    assert deleted == [wire("testmanagement_execution_delete"), wire("testmanagement_campaign_update")]
    [created, _] = campaign().create(ALICE, "test")
    changed = json.loads(wire("testmanagement_execution_create"))
    changed["rights"] |= {
        "submitter_id": 101,
        "submitter_only": ["@ug_159"],
        "tracker": [ADMIN, MEMBERS, "@ug_159"],
    }
    assert json.loads(created) == changed


def test_a_linked_bug_has_the_shape_that_tuleap_posts() -> None:
    [posted] = campaign().link_bug(ALICE, 39, "Login fails")
    expected = json.loads(wire("testmanagement_execution_link_artifact"))
    bug = expected["data"]["added_artifact_link"]
    bug |= {"id": 41, "xref": "bug #41", "title": "Login fails"}
    assert list(json.loads(posted)) == list(expected)
    assert json.loads(posted)["data"] == expected["data"]


def test_the_server_takes_all_of_it() -> None:
    kanban = board(c6580=[321])
    bodies = [
        *kanban.create(ALICE, "card", "backlog", Rights(submitter_id=140, artifact=(ADMIN,)))[1],
        *kanban.move(NO_WINDOW, 321, "archive", None),
        *kanban.create_column(ALICE, "Done"),
        *campaign().set_presence(ALICE, 39, ALICE.uuid or "", ""),
    ]
    for body in bodies:
        decode(body)
