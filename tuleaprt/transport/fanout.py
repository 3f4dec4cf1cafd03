"""The fan-out: sends dispatches to connections, in slices, in order.

Each session receives events in the order of their publication, over all topics, and a reply after the
events that were published before it.

There are two lanes. Each has its own order, and each sends one slice in every turn of the reactor. The
long lane has dispatches to many subscribers or of many bytes, and everything that would overtake one of
them on its way to the same session. The quick lane has everything else, so a large board does not delay a
small one by more than a slice. A job of the long lane waits until the jobs of the quick lane that were
queued before it are done, and while the outbound queues are too full (outbound.Backpressure).
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from typing import Any, Protocol, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import Metrics
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.transport.sending import SendAll, send_all
from tuleaprt.transport.serializers import Format, event_frame
from tuleaprt.wamp.broker import Answer, Dispatch, Subscription
from tuleaprt.wamp.outlet import End

SLICE = 500
"""Subscribers that are served before the reactor looks at the network again: about 2 ms."""

LONG_BYTES = 4_194_304
"""The most bytes that the quick lane puts into outbound queues at once."""

BATCH_BYTES = 262_144
"""A batch has about so many bytes at most. Then the fan-out looks whether the outbound queues have room."""

HOLD_SECONDS = 0.02
"""How long the long lane waits before it checks again whether the outbound queues have room."""


class Receiver(Protocol):
    """A connection, to the fan-out.

    While ``socket`` is set, the fan-out sends frames of at most ``longest_frame`` bytes to it, passes the
    rest of each to ``follow``, and sets ``handed`` to the id of the publication. A receiver that never has a
    socket needs ``format``, ``write`` and ``close`` only.
    """

    format: Format
    handed: int

    @property
    def is_open(self) -> bool: ...

    @property
    def longest_frame(self) -> int: ...

    @property
    def socket(self) -> Any: ...

    def follow(self, rest: bytes) -> None: ...

    def write(self, frame: bytes) -> None: ...

    def close(self, end: End, detail: str = "") -> None: ...


class Addressee(Protocol):
    """A session, to the fan-out."""

    @property
    def outlet(self) -> Receiver: ...


class _Delivery:
    """A dispatch that is being sent: to the receivers from ``at`` on, to at most ``at_once`` in a batch."""

    __slots__ = ("at", "at_once", "began", "dispatch", "is_long", "number")

    def __init__(self, number: int, dispatch: Dispatch, began: float) -> None:
        self.began = began
        self.number = number
        self.dispatch = dispatch
        self.at = 0
        count, size = len(dispatch.receivers), dispatch.publication.size
        self.is_long = count > SLICE or count * size > LONG_BYTES
        self.at_once = max(1, BATCH_BYTES // max(1, size))

    @property
    def is_done(self) -> bool:
        return self.at >= len(self.dispatch.receivers)


class _Action:
    """A function that is called in its turn, for one session or for none."""

    __slots__ = ("do", "number", "session")

    def __init__(self, number: int, do: Callable[[], None], session: Hashable | None) -> None:
        self.number = number
        self.do = do
        self.session = session


_Lane = deque[_Delivery | _Action]


class Fanout:
    """Queues jobs, and owns the delayed call that works on them."""

    def __init__(
        self,
        clock: IReactorTime,
        *,
        backpressure: Backpressure,
        metrics: Metrics,
        faults: Faults,
        send_all: SendAll = send_all,
    ) -> None:
        self._clock = clock
        self._send_all = send_all
        self._backpressure = backpressure
        self._metrics = metrics
        self._faults = faults
        self._numbers = count()
        self._quick: _Lane = deque()
        self._long: _Lane = deque()
        self._crowds: Counter[Subscription] = Counter()
        """The subscriptions with dispatches in the long lane."""
        self._waiting: Counter[Hashable] = Counter()
        """The sessions with actions in the long lane."""
        self._call: IDelayedCall | None = None
        self._is_working = False
        self._is_held = False
        self._sending: _Delivery | None = None
        self.publication = 0
        """The id of the publication that is being sent."""

    @property
    def is_idle(self) -> bool:
        """Whether everything that was published has been sent."""
        return not (self._quick or self._long or self._is_working)

    def first_of(self, subscription: Subscription) -> int:
        """The id of the first publication of this subscription that has not been sent to all; 0: there is
        none.
        """
        jobs = [it for it in (self._sending, *self._long, *self._quick) if isinstance(it, _Delivery)]
        jobs = [it for it in jobs if it.dispatch.subscription is subscription]
        return min(jobs, key=lambda it: it.number).dispatch.publication.id if jobs else 0

    def deliver(self, dispatch: Dispatch) -> None:
        """Send a dispatch to its subscribers, beginning two turns of the reactor later.

        Tuleap's user waits for the answer to the post, which is in a buffer at this time. The reactor
        sends it when it next looks at its sockets. A delayed call of this turn would run before that, so
        the fan-out waits for two turns.
        """
        delivery = _Delivery(next(self._numbers), dispatch, self._clock.seconds())
        if delivery.is_long or (self._long and any(map(self._is_behind, dispatch.receivers))):
            self._crowds[dispatch.subscription] += 1
            self._long.append(delivery)
        else:
            self._quick.append(delivery)
            self._hurry()
        if self._call is None and not self._is_working:
            self._call = self._clock.callLater(0, self._schedule)

    def then(self, do: Callable[[], None], session: Hashable | None = None) -> None:
        """Call ``do`` when everything that is queued now for this session has been sent; without a session,
        for all sessions.

        If nothing is queued, it is called at once.
        """
        if self.is_idle:
            do()
        elif not self._long or (session is not None and not self._is_behind(session)):
            self._quick.append(_Action(next(self._numbers), do, session))
            self._hurry()
        elif session is not None:
            self._waiting[session] += 1
            self._long.append(_Action(next(self._numbers), do, session))
        else:
            self._long.append(_Action(next(self._numbers), lambda: self.then(do), None))

    def stop(self) -> None:
        """Drop everything that is queued."""
        self._quick.clear()
        self._long.clear()
        self._crowds.clear()
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _is_behind(self, session: Any) -> bool:
        """Whether a job in the long lane may concern this session."""
        return session in self._waiting or any(session in it.subscribers for it in self._crowds)

    def _schedule(self) -> None:
        self._call = self._clock.callLater(0, self._turn)

    def _hurry(self) -> None:
        """The quick lane does not wait for room in the outbound queues."""
        if self._is_held and self._call is not None:
            self._is_held = False
            self._call.reset(0)

    def _turn(self) -> None:
        self._call = None
        self._is_held = False
        self._is_working = True
        self._serve(self._quick)
        may_go_on = not self._backpressure.is_full or self._backpressure.has_room(self._clock.seconds())
        if may_go_on:
            self._serve(self._long)
        self._is_working = False
        if self._quick or (self._long and may_go_on):
            self._schedule()
        elif self._long:
            self._is_held = True
            self._call = self._clock.callLater(HOLD_SECONDS, self._turn)

    def _serve(self, lane: _Lane) -> None:
        """Send to the next subscribers, and run the actions between them.

        Actions are not limited. If they were, a client that sends many requests would delay all other
        clients behind its replies.
        """
        budget = SLICE
        while lane and budget > 0:
            if lane is self._long and (
                self._backpressure.is_full or (self._quick and self._quick[0].number < lane[0].number)
            ):
                break
            job = lane.popleft()
            try:
                if isinstance(job, _Action):
                    job.do()
                else:
                    self._sending = job
                    budget -= self._send(job, budget)
                    if not job.is_done:
                        lane.appendleft(job)
                        continue
            except Exception:
                self._faults.record("in the fan-out")
            finally:
                self._sending = None
            if lane is self._long:
                self._is_past(job)

    def _is_past(self, job: _Delivery | _Action) -> None:
        """The job is done, so nothing has to stay behind it any more."""
        counter: Counter[Any] = self._waiting if isinstance(job, _Action) else self._crowds
        key = job.session if isinstance(job, _Action) else job.dispatch.subscription
        counter[key] -= 1
        if counter[key] <= 0:
            del counter[key]

    def _send(self, job: _Delivery, most: int) -> int:
        """Send to the next subscribers, and return how many have had their turn."""
        now = self._clock.seconds()
        dispatch = job.dispatch
        self.publication = dispatch.publication.id
        served = sent = 0
        receivers = dispatch.receivers[job.at : job.at + min(most, job.at_once)]
        answers = cast(Iterator[tuple[Addressee, Answer | None]], dispatch.answers(receivers, now))
        outbounds, sockets, frames = list[Receiver](), list[Any](), list[bytes]()
        try:
            for session, answer in answers:
                if answer is not None:
                    outbound = session.outlet
                    frame = answer.frames.get(outbound.format) or event_frame(
                        dispatch, answer, outbound.format
                    )
                    socket = outbound.socket
                    if socket is not None and 0 < len(frame) <= outbound.longest_frame:
                        outbounds.append(outbound)
                        sockets.append(socket)
                        frames.append(frame)
                    else:
                        sent += self._is_done(outbound, outbound.write, frame)
                served += 1
        except Exception:
            # The event cannot be made for this receiver. The next turn goes on behind it.
            self._faults.record("in the fan-out")
            served += 1
        # Nothing else is written to these connections before this, so the order is kept.
        sent += self._send_batch(outbounds, sockets, frames)
        job.at += served
        if dispatch.is_counted:
            self._metrics.delivered(sent, served - sent)
            if job.is_done:
                self._metrics.fanned_out(self._clock.seconds() - job.began)
        return served

    def _send_batch(self, outbounds: list[Receiver], sockets: list[Any], frames: list[bytes]) -> int:
        """Send a frame to each, and return how many have it, in the socket or in their outbound queue."""
        failed = [
            index
            for index, taken in self._send_all(sockets, frames)
            if not self._is_done(outbounds[index], outbounds[index].follow, frames[index][taken:])
        ]
        for index in reversed(failed):
            del outbounds[index]
        publication = self.publication
        for outbound in outbounds:
            # A connection that was behind has been closed, without this event.
            if outbound.is_open:
                outbound.handed = publication
        return len(outbounds)

    def _is_done(self, outbound: Receiver, write: Callable[[bytes], None], data: bytes) -> bool:
        """Write, and return whether it succeeds. A fault at one connection must not concern the others."""
        try:
            write(data)
        except Exception:
            self._faults.record("sending to a receiver")
            outbound.close(End.FAULT)
            return False
        return True
