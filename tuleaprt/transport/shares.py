"""What each of many owners has of something that they share, and which item the largest owner is to lose.

Each change and each question takes constant time; the memory is proportional to the number of items.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)
Item = TypeVar("Item", bound=Hashable)


class Shares(Generic[Owner, Item]):
    """Items by their owners. An item has one owner, and comes once."""

    def __init__(self) -> None:
        self._items: dict[Owner, dict[Item, None]] = {}
        """Of each owner the items, oldest first."""
        self._owners: dict[int, dict[Owner, None]] = {}
        """The owners by the number of their items, each number in the order in which they came to have it."""
        self._most = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, owner: Owner, item: Item) -> None:
        items = self._items.setdefault(owner, {})
        items[item] = None
        self._count += 1
        self._rank(owner, len(items) - 1, len(items))

    def remove(self, owner: Owner, item: Item) -> None:
        """
        Raises:
            KeyError: this owner does not have it.
        """
        items = self._items[owner]
        del items[item]
        self._count -= 1
        self._rank(owner, len(items) + 1, len(items))
        if not items:
            del self._items[owner]

    def surplus(self) -> tuple[Owner, Item]:
        """The oldest item of an owner that has as many as any other.

        Raises:
            KeyError: there are no items.
        """
        owner = next(iter(self._owners[self._most]))
        return owner, next(iter(self._items[owner]))

    def _rank(self, owner: Owner, before: int, now: int) -> None:
        if before:
            del self._owners[before][owner]
        if now:
            self._owners.setdefault(now, {})[owner] = None
        self._most = max(self._most, now)
        if before and not self._owners[before]:
            del self._owners[before]
            if before == self._most:
                # Its owner has one item less now, and no owner has more than that.
                self._most = now
