"""The REST interface of the substitute for Tuleap, like Tuleap's own.

The client names its user in X-User; there are no passwords. Each change is answered when its messages
have been posted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.kanban import NotFound, Refused
from demo.posts import Rights, Sender
from demo.sample import CONFIDENTIAL, Tuleap
from demo.users import GROUP_NAMES, MEMBERS, operator_ticket


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request: its user, and the parts of its path, its query and its body."""

    user_id: int
    uuid: str | None
    ids: tuple[int, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sender(self) -> Sender:
        return Sender(self.user_id, self.uuid)

    def text(self, name: str) -> str:
        if not isinstance(value := self.body.get(name), str):
            raise Refused(f"{name} must be a text")
        return value

    def optional(self, name: str, kind: type[Any]) -> Any:
        value = self.body.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise Refused(f"{name} must be of type {kind.__name__}")
        return value

    def column(self) -> int | str:
        value = self.body.get("in_column")
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise Refused("in_column must be the id of a column")
        return value


Answer = tuple[Any, list[bytes]]
"""The answer, and the messages that are posted before it."""


class Api:
    """The table of requests."""

    def __init__(self, tuleap: Tuleap, key: bytes, clock: Callable[[], float]) -> None:
        self._tuleap = tuleap
        self._key = key
        self._clock = clock
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Asked], Answer]]] = [
            (method, re.compile(pattern.replace("#", "([1-9][0-9]{0,8})")), handler)
            for method, pattern, handler in (
                ("GET", "jwt", self._jwt),
                ("GET", "operator/jwt", self._operator_jwt),
                ("GET", "users", self._users),
                ("PUT", "users/#/groups", self._set_group),
                ("GET", "kanban/#", self._kanban),
                ("PATCH", "kanban/#", self._rename_board),
                ("POST", "kanban/#/columns", self._create_column),
                ("PUT", "kanban/#/columns", self._order_columns),
                ("PATCH", "kanban_columns/#", self._edit_column),
                ("DELETE", "kanban_columns/#", self._delete_column),
                ("POST", "kanban_items", self._create_card),
                ("GET", "kanban_items/#", self._card),
                ("PATCH", "kanban_items/#", self._change_card),
                ("GET", "testmanagement_campaigns/#", self._campaign),
                ("PATCH", "testmanagement_campaigns/#", self._rename_campaign),
                ("POST", "testmanagement_campaigns/#/executions", self._create_execution),
                ("GET", "testmanagement_executions/#", self._execution),
                ("PUT", "testmanagement_executions/#", self._set_status),
                ("DELETE", "testmanagement_executions/#", self._delete_execution),
                ("PATCH", "testmanagement_executions/#/presences", self._set_presence),
                ("PATCH", "testmanagement_executions/#/issues", self._link_bug),
            )
        ]

    def answer(self, method: str, path: str, asked: Asked) -> Answer:
        """
        Raises:
            NotFound: it does not exist, or the user may not see it.
            Refused: it cannot be done.
        """
        if asked.user_id not in self._tuleap.directory.users:
            raise Refused("X-User must be the id of a user")
        for its_method, pattern, handler in self._routes:
            if method == its_method and (found := pattern.fullmatch(path)):
                asked.ids = tuple(int(id) for id in found.groups())
                return handler(asked)
        raise NotFound(path)

    def _groups(self, asked: Asked) -> frozenset[str]:
        return self._tuleap.directory.groups(asked.user_id)

    def _permissions(self, asked: Asked) -> dict[str, bool]:
        return {"may_edit": MEMBERS in self._groups(asked)}

    def _must_be_member(self, asked: Asked) -> None:
        if MEMBERS not in self._groups(asked):
            raise Refused("only members of the project may do that")

    def _jwt(self, asked: Asked) -> Answer:
        seconds = asked.query.get("seconds", "1800")
        if not re.fullmatch("[1-9][0-9]{0,3}", seconds):
            raise Refused("seconds must be a number")
        now = self._clock()
        return {"token": self._tuleap.directory.ticket(asked.user_id, self._key, now, int(seconds))}, []

    def _operator_jwt(self, asked: Asked) -> Answer:
        return {"token": operator_ticket(self._key, self._clock())}, []

    def _users(self, asked: Asked) -> Answer:
        directory = self._tuleap.directory
        return [
            user.as_json()
            | {
                "role": user.role,
                "groups": [
                    {"id": it, "label": GROUP_NAMES[it], "is_in": it in directory.groups(user.id)}
                    for it in user.groups
                ],
            }
            for user in directory.users.values()
        ], []

    def _set_group(self, asked: Asked) -> Answer:
        try:
            self._tuleap.directory.set_group(
                asked.ids[0], asked.text("group"), asked.body.get("is_in") is True
            )
        except KeyError:
            raise NotFound("such a group of such a user") from None
        return {}, []

    def _kanban(self, asked: Asked) -> Answer:
        self._board(asked)
        board = self._tuleap.kanban.as_json(asked.user_id, self._groups(asked))
        return board | self._permissions(asked), []

    def _board(self, asked: Asked) -> None:
        if asked.ids[0] != self._tuleap.kanban.id:
            raise NotFound(f"kanban {asked.ids[0]}")

    def _rename_board(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._board(asked)
        return {}, self._tuleap.kanban.rename_board(asked.sender, asked.text("label"))

    def _create_column(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._board(asked)
        posts = self._tuleap.kanban.create_column(asked.sender, asked.text("label"))
        return self._tuleap.kanban.columns[-1].as_json(), posts

    def _order_columns(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._board(asked)
        ids = asked.body.get("column_ids")
        if not isinstance(ids, list) or not all(type(id) is int for id in ids):
            raise Refused("column_ids must be a list of ids")
        return {}, self._tuleap.kanban.order_columns(asked.sender, ids)

    def _edit_column(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        label, limit = asked.optional("label", str), asked.optional("wip_limit", int)
        return {}, self._tuleap.kanban.edit_column(asked.sender, asked.ids[0], label, limit)

    def _delete_column(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        return {}, self._tuleap.kanban.delete_column(asked.sender, asked.ids[0])

    def _create_card(self, asked: Asked) -> Answer:
        kanban = self._tuleap.kanban
        kanban.as_json(asked.user_id, self._groups(asked))
        artifact = CONFIDENTIAL if asked.body.get("is_restricted") is True else ()
        rights = Rights(submitter_id=asked.user_id, artifact=artifact)
        id, posts = kanban.create(asked.sender, asked.text("label"), asked.column(), rights)
        return kanban.item(id, asked.user_id, self._groups(asked)), posts

    def _card(self, asked: Asked) -> Answer:
        return self._tuleap.kanban.item(asked.ids[0], asked.user_id, self._groups(asked)), []

    def _change_card(self, asked: Asked) -> Answer:
        """A new label, or a new place: in_column, and before, the id of another card."""
        self._card(asked)
        kanban, id = self._tuleap.kanban, asked.ids[0]
        posts: list[bytes] = []
        if "label" in asked.body:
            posts += kanban.rename(asked.sender, id, asked.text("label"))
        if "in_column" in asked.body:
            posts += kanban.move(asked.sender, id, asked.column(), asked.optional("before", int))
        return self._card(asked)[0], posts

    def _campaign(self, asked: Asked) -> Answer:
        if asked.ids[0] != self._tuleap.campaign.id:
            raise NotFound(f"campaign {asked.ids[0]}")
        campaign = self._tuleap.campaign.as_json(asked.user_id, self._groups(asked))
        return campaign | self._permissions(asked), []

    def _rename_campaign(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._campaign(asked)
        return {}, self._tuleap.campaign.rename(asked.sender, asked.text("label"))

    def _create_execution(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._campaign(asked)
        posts = self._tuleap.campaign.create(asked.sender, asked.text("label"))
        return list(self._tuleap.campaign.executions.values())[-1].as_json(), posts

    def _execution(self, asked: Asked) -> Answer:
        return self._tuleap.campaign.execution(asked.ids[0], asked.user_id, self._groups(asked)), []

    def _set_status(self, asked: Asked) -> Answer:
        self._execution(asked)
        posts = self._tuleap.campaign.set_status(asked.sender, asked.ids[0], asked.text("status"))
        return self._execution(asked)[0], posts

    def _delete_execution(self, asked: Asked) -> Answer:
        self._must_be_member(asked)
        self._execution(asked)
        return {}, self._tuleap.campaign.delete(asked.sender, asked.ids[0])

    def _set_presence(self, asked: Asked) -> Answer:
        self._execution(asked)
        uuid, remove_from = asked.text("uuid"), asked.text("remove_from")
        return {}, self._tuleap.campaign.set_presence(asked.sender, asked.ids[0], uuid, remove_from)

    def _link_bug(self, asked: Asked) -> Answer:
        self._execution(asked)
        posts = self._tuleap.campaign.link_bug(asked.sender, asked.ids[0], asked.text("title"))
        return self._execution(asked)[0], posts
