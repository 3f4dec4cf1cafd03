"""Limits the connections that have not authenticated yet, so that no address can shut out the others.

Above the limit, the oldest connection of the address that has most of them is dropped. The newest is
never refused, so an address that opens many connections only loses its own.

Each operation takes constant time; the memory is proportional to the number of connections.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)
Item = TypeVar("Item", bound=Hashable)


class Shares(Generic[Owner, Item]):
    """Items by owner. An item has one owner."""

    def __init__(self) -> None:
        self._items: dict[Owner, dict[Item, None]] = {}
        """The items of each owner, oldest first."""
        self._owners: dict[int, dict[Owner, None]] = {}
        """The owners by their number of items, in the order in which they reached it."""
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
            KeyError: the owner does not have the item.
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
                # The owner has one item less now, and no owner has more than that.
                self._most = now


class Admission:
    """The place of one connection in the limit. ``drop`` is called with the reason, for the log."""

    __slots__ = ("_unauthenticated", "drop", "network")

    def __init__(
        self, unauthenticated: "UnauthenticatedLimit", network: str, drop: Callable[[str], None]
    ) -> None:
        self._unauthenticated = unauthenticated
        self.network = network
        self.drop = drop

    def leave(self) -> None:
        """The connection has authenticated or is closed. A second call changes nothing."""
        self._unauthenticated.leave(self)

    def move(self, network: str) -> None:
        """The peer is a known proxy, and its client has another address."""
        if network != self.network:
            self._unauthenticated.move(self, network)


class UnauthenticatedLimit:
    """The limit of one kind of endpoint: at most ``most`` connections. ``dropped`` is called for each that
    is dropped.
    """

    def __init__(self, most: int, dropped: Callable[[], None] = lambda: None) -> None:
        self.most = most
        self._dropped = dropped
        self._admissions: set[Admission] = set()
        self._shares: Shares[str, Admission] = Shares()

    @property
    def inside(self) -> int:
        return len(self._admissions)

    def enter(self, network: str, drop: Callable[[str], None]) -> Admission:
        """Add a connection. ``network`` is the address that it counts for (operations/logs.py)."""
        admission = Admission(self, network, drop)
        self._admissions.add(admission)
        self._shares.add(network, admission)
        while self.inside > self.most:
            owner, surplus = self._shares.surplus()
            self.leave(surplus)
            self._dropped()
            surplus.drop(f"too many connections without a token from {owner or 'a Unix socket'}")
        return admission

    def leave(self, admission: Admission) -> None:
        if admission in self._admissions:
            self._admissions.remove(admission)
            self._shares.remove(admission.network, admission)

    def move(self, admission: Admission, network: str) -> None:
        if admission in self._admissions:
            self._shares.remove(admission.network, admission)
            self._shares.add(network, admission)
            admission.network = network
