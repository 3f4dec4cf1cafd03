"""Limits the connections that have not authenticated yet, so that no address can shut out the others.

When there are more than the limit, the oldest connection of the address that has most of them is dropped. The
newest is never refused: an address that opens many connections only loses its own.
"""

from collections.abc import Callable

from tuleaprt.transport.shares import Shares


class Guest:
    """A connection that has not authenticated yet. ``drop`` is told why, for the log."""

    __slots__ = ("_lobby", "drop", "network")

    def __init__(self, lobby: "Lobby", network: str, drop: Callable[[str], None]) -> None:
        self._lobby = lobby
        self.network = network
        self.drop = drop

    def leave(self) -> None:
        """It has authenticated, or is gone; doing so again changes nothing."""
        self._lobby.leave(self)

    def move(self, network: str) -> None:
        """Its client is known now to be another than the peer, which is a proxy."""
        if network != self.network:
            self._lobby.move(self, network)


class Lobby:
    """One for each kind of endpoint. ``most``: the limit. ``dropped`` is called for each that had to go."""

    def __init__(self, most: int, dropped: Callable[[], None] = lambda: None) -> None:
        self.most = most
        self._dropped = dropped
        self._guests: set[Guest] = set()
        self._shares: Shares[str, Guest] = Shares()

    @property
    def inside(self) -> int:
        return len(self._guests)

    def enter(self, network: str, drop: Callable[[str], None]) -> Guest:
        """``network``: the address that the connection counts for (addresses.py)."""
        guest = Guest(self, network, drop)
        self._guests.add(guest)
        self._shares.add(network, guest)
        while self.inside > self.most:
            owner, surplus = self._shares.surplus()
            self.leave(surplus)
            self._dropped()
            surplus.drop(f"too many connections without a ticket from {owner or 'a Unix socket'}")
        return guest

    def leave(self, guest: Guest) -> None:
        if guest in self._guests:
            self._guests.remove(guest)
            self._shares.remove(guest.network, guest)

    def move(self, guest: Guest, network: str) -> None:
        if guest in self._guests:
            self._shares.remove(guest.network, guest)
            self._shares.add(network, guest)
            guest.network = network
