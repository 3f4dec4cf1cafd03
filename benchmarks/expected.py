"""What each window must receive, may receive and must not receive: the rights, computed independently of the
server.

A post is judged for a window by the conditions since the post was sent. If they were certain all the
time, the post must arrive or must not. If they were changing, it may arrive. Moments are counted and not
timed: each change and each post has its own.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
Groups = frozenset[int]
SHOWN_FAULTS = 20
SLOT_BYTES = 4096
"""More than the server's history counts for a post without its text."""


class Listening(Enum):
    NO = "not subscribed"
    PERHAPS = "subscribing, unsubscribing, not reading, or away from too much"
    YES = "subscribed, or away and to be told later"


class Past(Generic[T]):
    """A value and its former values."""

    __slots__ = ("_spans",)

    def __init__(self, value: T) -> None:
        self._spans: list[tuple[float, T]] = [(0, value)]

    @property
    def now(self) -> T:
        return self._spans[-1][1]

    def become(self, value: T, moment: float) -> None:
        self._spans.append((moment, value))

    def during(self, start: float, end: float = math.inf) -> Iterator[T]:
        """All values between the two moments, the latest first."""
        for since, value in reversed(self._spans):
            if since <= end:
                yield value
            if since <= start:
                return

    def forget(self) -> None:
        del self._spans[:-1]


class Audience(NamedTuple):
    """The users that may see a post: those in all of the groups (None: none), and one more user (0: none)."""

    groups: Groups | None
    user: int = 0

    def admits(self, user: int, groups: Groups) -> bool:
        return user == self.user or (self.groups is not None and self.groups <= groups)


@dataclass(slots=True, kw_only=True)
class Post:
    """``number`` counts all posts, ``window`` is the sender's (-1: none), ``at`` is the time of the clock."""

    number: int
    board: int
    audience: Audience
    window: int
    size: int
    at: float
    sent: float
    answered: float = math.inf


@dataclass(slots=True)
class User:
    """``groups`` are the sets that the user may have: two while a token with other groups is being shown."""

    id: int
    groups: Past[tuple[Groups, ...]]


@dataclass(slots=True)
class World:
    """All posts since the last quiet point, and the faults that were found."""

    moment: int = 0
    number: int = 0
    answered: int = 0
    """The newest post that was answered 200. A later request is answered after its events."""
    posts: dict[int, Post] = field(default_factory=dict)
    boards: dict[int, list[Post]] = field(default_factory=dict)
    beacons: dict[int, int] = field(default_factory=dict)
    """The newest post on each board that all users receive."""
    weight: int = 0
    """The bytes of all posts so far, with SLOT_BYTES for each."""
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    fault_texts: list[str] = field(default_factory=list)

    def next_moment(self) -> int:
        self.moment += 1
        return self.moment

    def sending(self, board: int, audience: Audience, *, window: int, size: int, at: float) -> Post:
        self.number += 1
        post = self.posts[self.number] = Post(
            number=self.number,
            board=board,
            audience=audience,
            window=window,
            size=size,
            at=at,
            sent=self.next_moment(),
        )
        self.boards.setdefault(board, []).append(post)
        self.weight += size + SLOT_BYTES
        return post

    def weight_on(self, board: int, since: float) -> int:
        """The bytes of the posts on a board since a moment."""
        return sum(it.size + SLOT_BYTES for it in self.boards.get(board, ()) if it.sent >= since)

    def was_answered(self, post: Post) -> None:
        post.answered = self.next_moment()
        self.answered = post.number

    def fault(self, kind: str, text: str) -> None:
        self.faults[kind] += 1
        if len(self.fault_texts) < SHOWN_FAULTS:
            self.fault_texts.append(f"{kind}: {text}")

    def forget(self) -> None:
        """All posts have been judged. A late event of them is a fault."""
        self.posts.clear()
        self.boards.clear()


class Reader:
    """What one window has received, checked at arrival."""

    __slots__ = ("_next", "last", "listening", "user", "window", "world")

    def __init__(self, world: World, window: int, user: User, boards: tuple[int, ...]) -> None:
        self.world = world
        self.window = window
        self.user = user
        self.listening = {board: Past(Listening.NO) for board in boards}
        self.last = 0
        self._next = dict.fromkeys(boards, 0)

    def __repr__(self) -> str:
        return f"window {self.window} of user {self.user.id}"

    def become(self, listening: Listening, board: int) -> None:
        self.listening[board].become(listening, self.world.next_moment())

    def gone(self) -> None:
        """The connection has ended. Events in transit are lost, and the next connection begins anew."""
        for board in self.listening:
            self.become(Listening.NO, board)
            self._next[board] = len(self.world.boards.get(board, ()))
        self.last = 0

    def away(self) -> None:
        """The connection of a page has ended. Events in transit may be lost, or come later."""
        for board, listening in self.listening.items():
            if listening.now is not Listening.NO:
                self.become(Listening.PERHAPS, board)

    def got(self, number: int, board: int, size: int, ends_at: float) -> None:
        """An event has arrived on the subscription to this board, in a session that ends at ``ends_at``."""
        world = self.world
        world.counts["deliveries"] += 1
        post = world.posts.get(number)
        text = f"post {number} on board {board} to {self}"
        if number == self.last:
            world.fault("doubled", text)
        elif number < self.last:
            world.fault("out of order", f"{text}, after {self.last}")
        elif post is None or post.board != board or post.size != size:
            world.fault("wrong", f"{text}: there is no such post, or it was another")
        else:
            self.settle(number - 1)
            self.last = number
            posts, index = world.boards[board], self._next[board]
            if index < len(posts) and posts[index] is post:
                self._next[board] += 1
            if not self._may_get(post) or post.at >= ends_at:
                world.fault(
                    "leaked", f"{text}, whose groups are {[sorted(it) for it in self.user.groups.now]}"
                )
            elif self._must_get(post):
                world.counts["due"] += 1

    def settle(self, upto: int) -> None:
        """All due posts up to this number must have arrived, by the order of events."""
        for board, index in self._next.items():
            posts = self.world.boards.get(board, ())
            while index < len(posts) and posts[index].number <= upto:
                if self._must_get(posts[index]):
                    self.world.fault("lost", f"post {posts[index].number} on board {board} to {self}")
                index += 1
            self._next[board] = index

    def forget(self) -> None:
        """The same as ``World.forget``."""
        self._next = dict.fromkeys(self._next, 0)
        for it in self.listening.values():
            it.forget()

    def _must_get(self, post: Post) -> bool:
        """Whether the post was published during a subscription and admitted the user all the time."""
        return (
            post.answered != math.inf
            and post.window != self.window
            and all(it is Listening.YES for it in self.listening[post.board].during(post.sent))
            and all(self._admissions(post))
        )

    def _may_get(self, post: Post) -> bool:
        """Whether the window had subscribed before the answer, and the user had the right at some time
        since.
        """
        listening = self.listening[post.board].during(post.sent, post.answered)
        return (
            post.window != self.window
            and any(it is not Listening.NO for it in listening)
            and any(self._admissions(post))
        )

    def _admissions(self, post: Post) -> Iterator[bool]:
        for possible in self.user.groups.during(post.sent):
            for groups in possible:
                yield post.audience.admits(self.user.id, groups)
