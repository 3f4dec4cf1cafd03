"""The test campaigns of the substitute, and Tuleap's posts when they change (contract 1.4, 1.5)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.kanban import NotFound, Refused
from demo.posts import Rights, Sender, post
from demo.users import ACTIVE, ADMIN, MEMBERS, SUPPLIERS, User

STATUSES = ("notrun", "passed", "failed", "blocked")

TRACKER = (ADMIN, MEMBERS, SUPPLIERS)
"""The groups with full access to the tracker of executions. Suppliers may read it."""

BUG_TRACKER = {
    "id": 24,
    "uri": "trackers/24",
    "label": "Bugs",
    "color_name": "fiesta-red",
    "project": {"id": 110, "uri": "projects/110", "label": "Guinea Pig", "icon": "\N{HAMSTER FACE}"},
    "cannot_create_reasons": None,
}


@dataclass(slots=True, kw_only=True)
class Execution:
    """One execution. ``author`` made its latest changeset, ``tested_by`` its latest result."""

    id: int
    label: str
    rights: Rights
    status: str = "notrun"
    author: User | None = None
    tested_by: User | None = None
    is_automated: bool = False
    bugs: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "label": self.label,
            "status": self.status,
            "tested_by": self.tested_by and self.tested_by.as_json(),
            "is_automated": self.is_automated,
            "is_restricted": bool(self.rights.artifact),
            "bugs": self.bugs,
        }

    def as_seed(self) -> dict[str, Any]:
        """The entry of a seed (docs/tuleap.rst)."""
        rights = {key: value for key, value in self.rights.as_json().items() if key != "field"}
        return {
            "execution_id": self.id,
            "status": self.status,
            "user": self.tested_by and self.tested_by.as_json(),
            "automated": self.is_automated,
            "rights": rights,
        }


class Campaign:
    """One campaign."""

    def __init__(self, id: int, label: str, users: Mapping[int, User], new_id: Callable[[], int]) -> None:
        self.id = id
        self.label = label
        self.executions: dict[int, Execution] = {}
        self.room = f"testmanagement_{id}"
        self.rights = Rights(submitter_id=101, tracker=TRACKER)
        self._users = users
        self._new_id = new_id

    def as_json(self, user_id: int, groups: Collection[str]) -> dict[str, Any]:
        """What this user may see of the campaign.

        Raises:
            NotFound: the user may not see it.
        """
        if not self.rights.admit(user_id, groups):
            raise NotFound(f"campaign {self.id}")
        seen = [it for it in self.executions.values() if it.rights.admit(user_id, groups)]
        return {"id": self.id, "label": self.label, "executions": [it.as_json() for it in seen]}

    def execution(self, id: int, user_id: int, groups: Collection[str]) -> dict[str, Any]:
        """
        Raises:
            NotFound: there is no such execution, or the user may not see it.
        """
        execution = self._execution(id)
        if not execution.rights.admit(user_id, groups):
            raise NotFound(f"execution {id}")
        return execution.as_json()

    def set_status(self, sender: Sender, id: int, status: str) -> list[bytes]:
        """The new status of an execution. Without a change nothing is posted."""
        execution = self._execution(id)
        if status not in STATUSES:
            raise Refused(f"a status is one of {', '.join(STATUSES)}")
        if status == execution.status:
            return []
        before, previous = execution.status, execution.author
        user = self._users[sender.user_id]
        execution.status = status
        execution.author = execution.tested_by = user
        data = {
            "artifact_id": id,
            "status": status,
            "previous_status": before,
            "user": user.as_json(),
            "previous_user": previous and previous.as_json(),
        }
        return [self._of(sender, execution.rights, "testmanagement_execution:update", data)]

    def set_presence(self, sender: Sender, id: int, uuid: str, remove_from: str) -> list[bytes]:
        """``remove_from`` is the execution that the window leaves, as text; the same id: this one."""
        execution = self._execution(id)
        presence = {
            "execution_id": id,
            "uuid": uuid,
            "remove_from": remove_from,
            "user": self._users[sender.user_id].as_json(),
        }
        rights, cmd = execution.rights, "testmanagement_user:presence"
        return [self._of(sender, rights, cmd, {"presence": presence})] if sender.is_window else []

    def create(self, sender: Sender, label: str) -> list[bytes]:
        """Add an execution, then post that the campaign has changed, as one request of Tuleap's page does."""
        if not label.strip():
            raise Refused("a label has at least one character")
        execution = Execution(
            id=self._new_id(),
            label=label.strip()[:250],
            rights=Rights(submitter_id=sender.user_id, tracker=TRACKER),
            author=self._users[sender.user_id],
        )
        self.executions[execution.id] = execution
        return self._of_execution(sender, execution, "create")

    def delete(self, sender: Sender, id: int) -> list[bytes]:
        return self._of_execution(sender, self.executions.pop(self._execution(id).id), "delete")

    def link_bug(self, sender: Sender, id: int, title: str) -> list[bytes]:
        """The rights of the message are the bug's, which all members may see."""
        execution = self._execution(id)
        bug_id = self._new_id()
        bug = {"id": bug_id, "xref": f"bug #{bug_id}", "title": title.strip()[:250], "tracker": BUG_TRACKER}
        execution.bugs.append(bug)
        if not sender.is_window:
            return []
        rights = Rights(submitter_id=sender.user_id, tracker=(ADMIN, MEMBERS, ACTIVE))
        data = {"artifact_id": id, "added_artifact_link": bug}
        return [self._of(sender, rights, "testmanagement_execution:link_artifact", data)]

    def rename(self, sender: Sender, label: str) -> list[bytes]:
        if not label.strip():
            raise Refused("a label has at least one character")
        self.label = label.strip()[:250]
        return self._updated(sender)

    def as_seed(self) -> list[dict[str, Any]]:
        return [execution.as_seed() for execution in self.executions.values()]

    def _of_execution(self, sender: Sender, execution: Execution, what: str) -> list[bytes]:
        if not sender.is_window:
            return []
        data = {"artifact_id": execution.id, "user": self._users[sender.user_id].as_json()}
        cmd = f"testmanagement_execution:{what}"
        return [self._of(sender, execution.rights, cmd, data), *self._updated(sender)]

    def _updated(self, sender: Sender) -> list[bytes]:
        if not sender.is_window:
            return []
        data = {"artifact_id": self.id, "user": self._users[sender.user_id].as_json()}
        return [self._of(sender, self.rights, "testmanagement_campaign:update", data)]

    def _of(self, sender: Sender, rights: Rights, cmd: str, data: Any) -> bytes:
        return post(sender, self.room, rights.as_json(), cmd, data)

    def _execution(self, id: int) -> Execution:
        if id not in self.executions:
            raise NotFound(f"execution {id}")
        return self.executions[id]
