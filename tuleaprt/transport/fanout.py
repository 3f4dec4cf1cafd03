"""The fan-out: dispatches become frames on connections, in slices, in order.

There is one queue. To any one session its events leave in the order in which they were published, and a
reply leaves after the events that were published before it, because replies queue behind them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tuleaprt.faults import Faults
from tuleaprt.metrics import Metrics
from tuleaprt.transport.frames import WireFormat, event_frame
from tuleaprt.wamp.broker import Answer, Dispatch
from tuleaprt.wamp.outlet import End

SLICE = 250
"""Receivers between two looks at the network: about 2 ms."""


class Receiver(Protocol):
    """A connection, to the fan-out."""

    format: WireFormat

    def write(self, frame: bytes) -> None: ...

    def close(self, end: End, detail: str = "") -> None: ...


class Addressee(Protocol):
    """A session, to the fan-out."""

    @property
    def outlet(self) -> Receiver: ...


class _Delivery:
    """A dispatch that is under way."""

    __slots__ = ("dispatch", "left", "rest")

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.left = len(dispatch.receivers)
        self.rest = iter(dispatch.receivers)


class Fanout:
    """Owns the delayed call that drives it, from the first thing queued to the last thing done."""

    def __init__(self, clock: IReactorTime, *, metrics: Metrics, faults: Faults) -> None:
        self._clock = clock
        self._metrics = metrics
        self._faults = faults
        self._queue: deque[_Delivery | Callable[[], None]] = deque()
        self._call: IDelayedCall | None = None
        self._is_working = False

    def deliver(self, dispatch: Dispatch) -> None:
        """Send a dispatch to its receivers, beginning in a later turn of the reactor.

        Tuleap's user waits for the answer to the post. It is in a buffer now, and leaves when the reactor
        next looks at its sockets; a delayed call of this turn would come before that, so it takes two.
        """
        self._queue.append(_Delivery(dispatch))
        if self._call is None and not self._is_working:
            self._call = self._clock.callLater(0, self._schedule)

    def then(self, action: Callable[[], None]) -> None:
        """Do it when all that is queued now has been done: at once, if nothing is."""
        if self._queue or self._is_working:
            self._queue.append(action)
        else:
            action()

    def stop(self) -> None:
        """Drop what is queued."""
        self._queue.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _schedule(self) -> None:
        self._call = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        """Serve the next receivers, and do whatever stands between them.

        Actions are not counted: were there a limit to them too, a peer that asks faster than that would
        make everybody wait behind its answers.
        """
        self._call = None
        self._is_working = True
        budget = SLICE
        while self._queue and budget > 0:
            job = self._queue.popleft()
            try:
                if isinstance(job, _Delivery):
                    budget -= self._send(job, budget)
                    if job.left:
                        self._queue.appendleft(job)
                else:
                    job()
            except Exception:
                self._faults.record("in the fan-out")
        self._is_working = False
        if self._queue:
            self._schedule()

    def _send(self, job: _Delivery, most: int) -> int:
        """Send to the next receivers, and say how many have had their turn."""
        now = self._clock.seconds()
        dispatch = job.dispatch
        taken = min(most, job.left)
        job.left -= taken
        sent = 0
        answers = dispatch.answers(islice(job.rest, taken), now)
        for session, answer in cast(Iterator[tuple[Addressee, Answer | None]], answers):
            if answer is not None:
                line = session.outlet
                frame = answer.frames.get(line.format) or event_frame(dispatch, answer, line.format)
                try:
                    line.write(frame)
                    sent += 1
                except Exception:
                    # One receiver's fault is not the others'.
                    self._faults.record("sending to a receiver")
                    line.close(End.FAULT)
        self._metrics.delivered(sent, taken - sent)
        return taken
