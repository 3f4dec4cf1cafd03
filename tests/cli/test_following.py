"""Following a topic: every event once and in order, over several sessions."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted

from tests.fakes import CAMPAIGN, KANBAN
from tuleaprt.cli.following import REMEMBERED, Following, Known
from tuleaprt.errors import InvalidAnswer

ensure = pytest_twisted.ensureDeferred


class Server:
    """An event history that is answered in pages; events may be published meanwhile."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.page = 2
        self.meanwhile: list[int] = []
        self.topics: dict[int, str] = {}
        self.is_restarted = False
        self._handlers: list[Callable[..., None]] = []

    def connect(self) -> None:
        self._handlers.clear()

    async def subscribe(self, handler: Callable[..., None], topic: str, options: Any) -> Any:
        self._handlers.append(handler)
        return SimpleNamespace(id=7)

    def publish(self, id: int, topic: str = KANBAN) -> None:
        self.slots.append(id)
        self.topics[id] = topic
        for handler in self._handlers:
            handler(cmd="x", data=id, details=SimpleNamespace(publication=id, topic=topic))

    async def ask(
        self, procedure: str, subscription: int, *, after_publication: int = 0, limit: int = 9
    ) -> Any:
        if self.meanwhile:
            self.publish(self.meanwhile.pop(0))
        position = self.slots[-1] if self.slots else 1
        if limit == 0:
            return SimpleNamespace(results=[], kwresults={"position": position})
        if after_publication not in [1, *self.slots]:
            return SimpleNamespace(results=[], kwresults={"position": position, "position_lost": True})
        start = self.slots.index(after_publication) + 1 if after_publication in self.slots else 0
        missed = self.slots[start:]
        rows = [
            {"publication": id, "details": {}, "args": [], "kwargs": {"cmd": "x", "data": id}}
            for id in missed[: self.page]
        ]
        more = {"more": True} if len(missed) > self.page else {}
        return SimpleNamespace(results=rows, kwresults={"position": position, **more})


def follow(known: Known, shown: list[int], lost: list[str], topic: str = KANBAN) -> Following:
    return Following(
        topic,
        is_prefix=False,
        known=known,
        show=lambda event: shown.append(event.publication),
        lost=lost.append,
    )


@ensure
async def test_what_was_missed_is_shown_once_and_in_order_in_any_number_of_pages() -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    following = follow(Known(), shown, lost)
    await following.subscribe(server)  # type: ignore[arg-type]
    server.publish(100)
    server.connect()
    for id in (101, 102, 103, 104, 105):
        server.publish(id)
    server.meanwhile = [106, 107]
    await following.subscribe(server)  # type: ignore[arg-type]
    server.publish(108)
    assert shown == [100, 101, 102, 103, 104, 105, 106, 107, 108]
    assert lost == []


@ensure
async def test_nothing_of_before_the_first_session_is_shown_but_what_comes_while_it_asks_is() -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    server.publish(99)
    server.meanwhile = [100]
    await follow(Known(), shown, lost).subscribe(server)  # type: ignore[arg-type]
    assert (shown, lost) == ([100], [])


@ensure
async def test_a_lost_position_is_said_and_it_goes_on_from_there() -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    following = follow(Known(), shown, lost)
    await following.subscribe(server)  # type: ignore[arg-type]
    server.publish(100)
    restarted = Server()
    restarted.publish(500)
    await following.subscribe(restarted)  # type: ignore[arg-type]
    assert (shown, lost) == ([100], [KANBAN])
    restarted.connect()
    restarted.publish(501)
    await following.subscribe(restarted)  # type: ignore[arg-type]
    assert (shown, lost) == ([100, 501], [KANBAN])


@ensure
async def test_meta_events_are_no_position() -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    following = follow(Known(), shown, lost)
    await following.subscribe(server)  # type: ignore[arg-type]
    server.publish(100)
    server.publish(200, "wamp.session.on_join")
    server.slots.remove(200)
    server.connect()
    await following.subscribe(server)  # type: ignore[arg-type]
    assert (shown, lost) == ([100, 200], [])


@ensure
async def test_one_event_of_two_subscriptions_is_shown_once() -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    known = Known()
    for _ in range(2):
        await follow(known, shown, lost, CAMPAIGN).subscribe(server)  # type: ignore[arg-type]
    server.publish(100, CAMPAIGN)
    assert shown == [100]


@pytest.mark.parametrize("sent", [[], [100], [101, 100], [101, 102, 100]])
@ensure
async def test_attack_a_history_without_end_goes_in_a_circle(sent: list[int]) -> None:
    server, shown, lost = Server(), [], []  # type: ignore[var-annotated]
    following = follow(Known(), shown, lost)
    server.publish(100)
    await following.subscribe(server)  # type: ignore[arg-type]

    async def ask(procedure: str, subscription: int, *, after_publication: int) -> Any:
        here = [100, *sent].index(after_publication)
        row = {"details": {}, "args": [], "kwargs": {}}
        rows = [{"publication": id, **row} for id in sent[here : here + 1]]
        return SimpleNamespace(results=rows, kwresults={"position": 999, "more": True})

    server.ask = ask  # type: ignore[method-assign,assignment]
    with pytest.raises(InvalidAnswer, match="sends no new ones"):
        await following.subscribe(server)  # type: ignore[arg-type]


def test_what_is_known_is_bounded() -> None:
    known = Known()
    assert all(known.is_new(id) for id in range(REMEMBERED + 1))
    assert not known.is_new(REMEMBERED)
    assert known.is_new(0)
