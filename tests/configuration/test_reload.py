"""Reading the configuration again."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.conftest import Log
from tuleaprt.configuration.options import Config, Limits, Presence, WebSocket
from tuleaprt.configuration.reload import Live, Reload
from tuleaprt.errors import ConfigError

CONFIG = Config(key=b"k" * 88)


class Reactor(MemoryReactorClock):
    """Does at once what a signal leaves for it to do."""

    def callFromThread(self, callable: object, *args: object, **kwargs: object) -> None:  # type: ignore[override]
        callable(*args, **kwargs)  # type: ignore[operator]


class World:
    """A server whose configuration is ``next`` at the next reload."""

    def __init__(self) -> None:
        self.next = CONFIG
        self.problems: tuple[str, ...] = ()
        self.keys: list[bytes] = []
        self.max_outbox = CONFIG.limits.max_outbox
        live = Live()
        live.keep("limits.max_outbox", self, "max_outbox")
        live.follow("websocket.allowed_origins", lambda origins: setattr(self, "origins", origins))
        live.follow("realtime.post_secret", lambda secret: setattr(self, "secret", secret))
        self.reload = Reload(CONFIG, live, reactor=Reactor(), read=self.read, take_key=self.keys.append)

    def read(self) -> Config:
        if self.problems:
            raise ConfigError(*self.problems)
        return self.next


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.reload.start()
    yield world
    world.reload.stop()


def test_what_can_change_changes_and_is_named_in_one_line(world: World, log: Log) -> None:
    world.next = replace(
        CONFIG, limits=Limits(max_outbox=5), websocket=WebSocket(allowed_origins=("https://a",))
    )
    world.reload.reload()
    assert world.max_outbox == 5
    assert vars(world)["origins"] == ("https://a",)
    assert log.lines == ["reloaded: websocket.allowed_origins, limits.max_outbox"]


def test_what_wants_a_restart_is_said_a_line_each_again_and_again(world: World, log: Log) -> None:
    world.next = replace(CONFIG, presence=Presence(grace=1), limits=Limits(max_outbox=5))
    expected = ["reloaded: limits.max_outbox", "presence.grace has changed, which needs a restart"]
    world.reload.reload()
    assert log.lines == expected
    world.reload.reload()
    assert log.lines == [*expected, "reloaded: no option has changed that can change at runtime", expected[1]]


def test_with_a_mistake_nothing_changes_and_each_is_said(world: World, log: Log) -> None:
    world.problems = ("first", "second")
    world.reload.reload()
    assert log.lines == ["first", "second", "not reloaded: nothing has changed"]
    assert {it["log_level"].name for it in log.events} == {"warn"}
    assert world.max_outbox == CONFIG.limits.max_outbox
    assert world.keys == []


def test_the_key_is_taken_whenever_it_is_read(world: World) -> None:
    world.next = replace(CONFIG, key=b"n" * 88)
    world.reload.reload()
    assert world.keys == [b"n" * 88]


def test_a_key_of_the_environment_is_said_to_stay(world: World, log: Log) -> None:
    world.next = replace(CONFIG, key_is_fixed=True)
    world.reload.reload()
    assert world.keys == []
    assert "the key is that of PRIVATE_KEY, which needs a restart to change" in log.lines


def test_a_secret_that_has_changed_in_its_file_is_followed_and_not_shown(world: World, log: Log) -> None:
    world.next = replace(CONFIG, post_secret=b"s3cr3t")
    world.reload.reload()
    assert vars(world)["secret"] == b"s3cr3t"
    assert log.lines == ["reloaded: realtime.post_secret"]
    assert "s3cr3t" not in repr(log.events)


def test_whoever_waits_for_a_reload_is_told_of_its_end_even_if_it_fails() -> None:
    done: list[str] = []

    def read() -> Config:
        done.append("read")
        raise OSError("the disk is gone")

    reload = Reload(
        CONFIG,
        Live(),
        reactor=Reactor(),
        read=read,
        take_key=lambda key: None,
        began=lambda: done.append("began"),
        ended=lambda: done.append("ended"),
    )
    with pytest.raises(OSError, match="gone"):
        reload.reload()
    assert done == ["began", "read", "ended"]


def test_an_attribute_that_is_not_there_cannot_be_kept() -> None:
    with pytest.raises(AttributeError, match="max_boats"):
        Live().keep("limits.max_outbox", CONFIG, "max_boats")


def test_a_hangup_reads_it_again_until_it_stops(world: World) -> None:
    before = world.reload._before
    world.next = replace(CONFIG, limits=Limits(max_outbox=5))
    os.kill(os.getpid(), signal.SIGHUP)
    assert world.max_outbox == 5
    world.reload.stop()
    assert signal.getsignal(signal.SIGHUP) is before
