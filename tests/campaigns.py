"""Posts of a campaign, as Tuleap makes them."""

from collections.abc import Sequence
from typing import Any

CAMPAIGN = "org.tuleap.testmanagement.9"
ALICE, BOB, CAROL = 101, 102, 103
UUID = {ALICE: "11111111-1111-4111-8111-111111111111", BOB: "22222222-2222-4222-8222-222222222222"}
MEMBERS = ["@gpig_project_members"]


def rights(tracker: Sequence[str] = MEMBERS, artifact: Sequence[str] = (), **changes: Any) -> dict[str, Any]:
    return {
        "submitter_id": 150,
        "submitter_can_view": True,
        "submitter_only": [],
        "artifact": list(artifact),
        "tracker": ["@gpig_project_admin", *tracker],
        "field": {},
    } | changes


def user(id: int) -> dict[str, Any]:
    name = {ALICE: "alice", BOB: "bob", CAROL: "carol"}.get(id, f"user{id}")
    return {"id": id, "username": name, "email": f"{name}@example.com"}


def uuid_of(user_id: int) -> str:
    return UUID.get(user_id, f"uuid of {user_id}")


def post(
    cmd: str, data: Any, *, by: int = ALICE, uuid: str | None = None, campaign: int = 9, **changes: Any
) -> dict[str, Any]:
    """The post about a change by this user, from the user's own window or another one of the user."""
    return {
        "sender_user_id": by,
        "sender_uuid": uuid_of(by) if uuid is None else uuid,
        "room_id": f"testmanagement_{campaign}",
        "rights": rights(),
        "cmd": cmd,
        "data": data,
    } | changes


def presence(
    by: int, execution: int, remove_from: int | None = None, *, uuid: str | None = None, **of_post: Any
) -> dict[str, Any]:
    """The user has opened a test, coming from another one, or has left it."""
    said = {
        "execution_id": execution,
        "uuid": uuid_of(by) if uuid is None else uuid,
        "remove_from": "" if remove_from is None else str(remove_from),
        "user": user(by),
    }
    return post("testmanagement_user:presence", {"presence": said}, by=by, uuid=uuid, **of_post)


def update(by: int, execution: int, status: str, **of_post: Any) -> dict[str, Any]:
    data = {
        "artifact_id": execution,
        "status": status,
        "previous_status": "notrun",
        "user": user(by),
        "previous_user": None,
    }
    return post("testmanagement_execution:update", data, by=by, **of_post)


def create(execution: int, **of_post: Any) -> dict[str, Any]:
    return post("testmanagement_execution:create", {"artifact_id": execution, "user": user(ALICE)}, **of_post)


def delete(execution: int, **of_post: Any) -> dict[str, Any]:
    return post("testmanagement_execution:delete", {"artifact_id": execution, "user": user(ALICE)}, **of_post)


def link(execution: int, **of_post: Any) -> dict[str, Any]:
    bug = {"id": 845, "xref": "bug #845", "title": "It does not work"}
    data = {"artifact_id": execution, "added_artifact_link": bug}
    return post("testmanagement_execution:link_artifact", data, **of_post)
