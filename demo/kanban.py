"""The kanban of the substitute, and Tuleap's posts when it changes (contract 1.4, 1.5).

Each change returns the bodies to post, in Tuleap's order. The id of a card is that of its artifact.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from demo.posts import Rights, Sender, post, structure_rights

ColumnId = int | str
"""The id of a column, or ``backlog`` or ``archive``."""

BACKLOG = "backlog"
ARCHIVE = "archive"


class Refused(Exception):
    """The request cannot be granted. The text says why."""


class NotFound(Exception):
    """The id does not exist, or the user may not see it."""


@dataclass(slots=True, kw_only=True)
class Card:
    """An artifact on a kanban."""

    id: int
    label: str
    rights: Rights
    color: str = ""

    def as_json(self, column: ColumnId) -> dict[str, Any]:
        return {
            "id": self.id,
            "label": self.label,
            "color": self.color,
            "in_column": column,
            "is_restricted": bool(self.rights.artifact),
            "submitter_id": self.rights.submitter_id,
        }


@dataclass(slots=True, kw_only=True)
class Column:
    """A column. ``limit`` is its WIP limit, or None."""

    id: ColumnId
    label: str
    limit: int | None = None
    cards: list[Card] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return isinstance(self.id, int)

    def ids(self) -> list[int]:
        return [card.id for card in self.cards]

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "label": self.label, "limit": self.limit, "is_open": self.is_open}


class Kanban:
    """One kanban. ``new_id`` returns the ids of new columns and cards."""

    def __init__(self, id: int, label: str, new_id: Callable[[], int]) -> None:
        self.id = id
        self.label = label
        self.backlog = Column(id=BACKLOG, label="Backlog")
        self.archive = Column(id=ARCHIVE, label="Archive")
        self.columns: list[Column] = []
        self._new_id = new_id

    def as_json(self, user_id: int, groups: Collection[str]) -> dict[str, Any]:
        """What this user may see of the kanban.

        Raises:
            NotFound: the user may not see it.
        """
        if not set(groups) & set(structure_rights()["tracker"]):
            raise NotFound(f"kanban {self.id}")
        every = [self.backlog, *self.columns, self.archive]
        return {
            "id": self.id,
            "label": self.label,
            "columns": [column.as_json() for column in every],
            "items": [
                card.as_json(column.id)
                for column in every
                for card in column.cards
                if card.rights.admit(user_id, groups)
            ],
        }

    def item(self, card_id: int, user_id: int, groups: Collection[str]) -> dict[str, Any]:
        """
        Raises:
            NotFound: there is no such card, or the user may not see it.
        """
        column, card = self._find(card_id)
        if not card.rights.admit(user_id, groups):
            raise NotFound(f"card {card_id}")
        return card.as_json(column.id)

    def create(
        self, sender: Sender, label: str, column_id: ColumnId, rights: Rights
    ) -> tuple[int, list[bytes]]:
        """Add a card at the end of a column. Returns its id, and the bodies to post."""
        column = self._column(column_id)
        card = Card(id=self._new_id(), label=_label(label), rights=rights)
        column.cards.append(card)
        return card.id, [self._of_item(sender, card, "create", {"artifact_id": card.id})]

    def rename(self, sender: Sender, card_id: int, label: str) -> list[bytes]:
        _, card = self._find(card_id)
        card.label = _label(label)
        return [self._of_item(sender, card, "update", {"artifact_id": card.id})]

    def move(self, sender: Sender, card_id: int, to: ColumnId, before: int | None) -> list[bytes]:
        """Move a card into a column, before another card or to the end (None).

        A change of the column changes the artifact's status: ``update``, then ``move``. A move within the
        column is a ``move`` from the column into itself.
        """
        source, card = self._find(card_id)
        target = self._column(to)
        posts: list[bytes] = []
        source.cards.remove(card)
        target.cards.append(card)
        if target is not source:
            posts.append(self._of_item(sender, card, "update", {"artifact_id": card.id}))
            posts.append(self._of_item(sender, card, "move", _move(target, card, source)))
        if target is source or before is not None:
            target.cards.remove(card)
            ids = target.ids()
            target.cards.insert(ids.index(before) if before in ids else len(ids), card)
            posts.append(self._of_item(sender, card, "move", _move(target, card, target)))
        return posts

    def rename_board(self, sender: Sender, label: str) -> list[bytes]:
        self.label = _label(label)
        return self._of_structure(sender, "kanban:edit", self.label)

    def create_column(self, sender: Sender, label: str) -> list[bytes]:
        column = Column(id=self._new_id(), label=_label(label))
        self.columns.append(column)
        permissions = ("user_can_add_in_place", "user_can_remove_column", "user_can_edit_label")
        data = column.as_json() | {"color": ""} | dict.fromkeys(permissions, True)
        order = ("id", "label", "is_open", "limit", "color", *permissions)
        return self._of_structure(sender, "kanban_column:create", {key: data[key] for key in order})

    def edit_column(
        self, sender: Sender, column_id: int, label: str | None, limit: int | None
    ) -> list[bytes]:
        """``limit`` 0: none. None: unchanged."""
        column = self._open_column(column_id)
        if label is not None:
            column.label = _label(label)
        if limit is not None:
            column.limit = limit or None
        data = {"id": column.id, "label": label, "wip_limit": limit}
        return self._of_structure(sender, "kanban_column:edit", data)

    def order_columns(self, sender: Sender, ids: list[int]) -> list[bytes]:
        by_id = {column.id: column for column in self.columns}
        if sorted(ids) != sorted(id for id in by_id if isinstance(id, int)):
            raise Refused("the new order must name each open column once")
        self.columns = [by_id[id] for id in ids]
        return self._of_structure(sender, "kanban_column:move", ids)

    def delete_column(self, sender: Sender, column_id: int) -> list[bytes]:
        column = self._open_column(column_id)
        if column.cards:
            raise Refused("a column that has cards cannot be deleted")
        self.columns.remove(column)
        return self._of_structure(sender, "kanban_column:delete", column_id)

    def add(self, card: Card, column_id: ColumnId) -> None:
        """Put a card into a column. Nothing is posted."""
        self._column(column_id).cards.append(card)

    def holds(self, card_id: int) -> bool:
        return any(card_id in column.ids() for column in (self.backlog, *self.columns, self.archive))

    def _column(self, id: ColumnId) -> Column:
        for column in (self.backlog, *self.columns, self.archive):
            if column.id == id:
                return column
        raise NotFound(f"column {id}")

    def _open_column(self, id: int) -> Column:
        column = self._column(id)
        if not column.is_open:
            raise Refused("the backlog and the archive stay as they are")
        return column

    def _find(self, card_id: int) -> tuple[Column, Card]:
        for column in (self.backlog, *self.columns, self.archive):
            for card in column.cards:
                if card.id == card_id:
                    return column, card
        raise NotFound(f"card {card_id}")

    def _of_item(self, sender: Sender, card: Card, what: str, data: Any) -> bytes:
        return post(sender, self.id, card.rights.as_json(), f"kanban_item:{what}", data)

    def _of_structure(self, sender: Sender, cmd: str, data: Any) -> list[bytes]:
        return [post(sender, self.id, structure_rights(), cmd, data)] if sender.is_window else []


def _move(target: Column, card: Card, source: Column) -> dict[str, Any]:
    return {
        "ordered_destination_column_items_ids": target.ids(),
        "artifact_id": card.id,
        "in_column": target.id,
        "from_column": source.id,
    }


def _label(text: str) -> str:
    if not (stripped := text.strip()):
        raise Refused("a label has at least one character")
    return stripped[:250]
