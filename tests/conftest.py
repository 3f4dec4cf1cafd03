"""What tests without a network share: a clock that they turn, and the log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import txaio
from hypothesis import settings
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from tests.strays import NothingIsLeft, mark

# A machine that is busy with other tests is slow, not wrong.
settings.register_profile("tuleaprt", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=50_000)
settings.load_profile("tuleaprt")


def pytest_configure(config: pytest.Config) -> None:
    mark()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(NothingIsLeft())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tests of the packages need the packages, and root: only make packages runs them."""
    is_theirs = collection_path == Path(__file__).parent / "packages"
    return True if is_theirs and not any("packages" in it for it in config.args) else None


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    @property
    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    @property
    def tracebacks(self) -> list[str]:
        return [str(event["log_failure"].value) for event in self.events if "log_failure" in event]


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    globalLogPublisher.addObserver(log.events.append)
    yield log
    globalLogPublisher.removeObserver(log.events.append)


class TurningClock(Clock):
    """A Clock that can do what a reactor does between two looks at its sockets."""

    def turn(self) -> None:
        """Make the calls that are due, but not those that they schedule."""
        for call in [it for it in self.calls if it.getTime() <= self.seconds()]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


@pytest.fixture
def clock() -> Iterator[TurningClock]:
    """Stands at 1000; Autobahn's own timers are on it too. Nothing may be left to call at the end."""
    clock = TurningClock()
    clock.advance(1000)
    txaio.use_twisted()
    before, txaio.config.loop = txaio.config.loop, clock
    yield clock
    txaio.config.loop = before
    assert clock.getDelayedCalls() == []


@pytest.fixture
def reactor() -> Iterator[MemoryReactorClock]:
    reactor = MemoryReactorClock()
    txaio.use_twisted()
    before, txaio.config.loop = txaio.config.loop, reactor
    yield reactor
    txaio.config.loop = before
