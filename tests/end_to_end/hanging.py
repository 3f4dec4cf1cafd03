"""twistd with a journal that hangs from one SIGUSR2 to the next, which no request can cause.

Run it as ``python hanging.py ARGUMENTS`` instead of ``twistd ARGUMENTS``. Its probe runs more often than
in the server, so that tests need not wait for it.
"""

import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.scripts.twistd import run

from tuleaprt.application import health as probe
from tuleaprt.journal.journal import MemoryJournal

probe.INTERVAL = 0.1  # type: ignore[assignment]
probe.PATIENCE = 0.3  # type: ignore[assignment]

append = MemoryJournal.append
hanging: list[Deferred[None]] = []


async def append_or_hang(self: MemoryJournal[Any], input: Any, *, at: float) -> int:
    if hanging:
        await hanging[0]
    return await append(self, input, at=at)


def turn(number: int, frame: object) -> None:
    if hanging:
        from twisted.internet import reactor

        reactor.callFromThread(hanging.pop().callback, None)
    else:
        hanging.append(Deferred())


MemoryJournal.append = append_or_hang  # type: ignore[method-assign]
signal.signal(signal.SIGUSR2, turn)

if __name__ == "__main__":
    run()
