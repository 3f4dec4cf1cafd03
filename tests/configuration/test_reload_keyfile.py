"""Following the file with Tuleap's key."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Log, TurningClock
from tuleaprt.configuration.reload import LOOK_SECONDS, SETTLE_SECONDS, KeyFile
from tuleaprt.errors import ConfigError

OLD, NEW = "o" * 88, "n" * 88


class Keys:
    """What the key file has brought."""

    def __init__(self) -> None:
        self.newest = OLD.encode()
        self.changes: list[tuple[float, float]] = []

    def change(self, key: bytes, now: float, seconds: float) -> bool:
        if key.startswith(b"ssh-"):
            raise ConfigError("a key that is another kind than Tuleap's")
        if key == self.newest:
            return False
        self.newest = key
        self.changes.append((now, seconds))
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "key", OLD)


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def follow(clock: TurningClock, keys: Keys, path: Path) -> Iterator[Callable[..., KeyFile]]:
    made: list[KeyFile] = []

    def follow(**options: str) -> KeyFile:
        made.append(KeyFile(str(path), old_key_seconds=30, clock=clock, change=keys.change, **options))
        made[-1].start()
        return made[-1]

    yield follow
    for it in made:
        it.stop()
    assert clock.getDelayedCalls() == []


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def replace(path: Path, text: str) -> None:
    """A new file in its place, as careful programs do it."""
    write(path.with_suffix(".new"), text).rename(path)


def look(clock: TurningClock) -> None:
    """Time for a change to be seen, and to be seen to last."""
    clock.advance(LOOK_SECONDS)
    clock.advance(SETTLE_SECONDS)


def test_a_new_key_is_taken_soon_and_the_old_one_is_good_for_a_while(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path, log: Log
) -> None:
    follow()
    replace(path, f"PRIVATE_KEY={NEW}")
    look(clock)
    assert keys.newest == NEW.encode()
    assert keys.changes == [(clock.seconds(), 30)]
    assert log.lines == [f"the key has changed: {path}; the one before stays good for 30 s"]


def test_a_file_that_is_as_it_was_is_not_read(
    follow: Callable[..., KeyFile], clock: TurningClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow()
    look(clock)
    monkeypatch.setattr("tuleaprt.configuration.reload.read_key", lambda path: pytest.fail("it was read"))
    for _ in range(3):
        look(clock)


def test_half_a_key_is_left_alone_until_the_rest_is_there(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path, log: Log
) -> None:
    follow()
    write(path, NEW[:40])
    clock.advance(LOOK_SECONDS)
    write(path, NEW)
    clock.advance(SETTLE_SECONDS)
    assert keys.newest == OLD.encode()
    clock.advance(SETTLE_SECONDS)
    assert keys.newest == NEW.encode()
    assert len(keys.changes) == 1
    assert len(log.lines) == 1


@pytest.mark.parametrize("content", [None, "", "PRIVATE_KEY=", "n" * 31, "ssh-rsa " + "n" * 64])
def test_a_file_that_cannot_be_used_leaves_the_key_is_told_once_and_is_tried_again(
    follow: Callable[..., KeyFile],
    clock: TurningClock,
    keys: Keys,
    path: Path,
    log: Log,
    content: str | None,
) -> None:
    follow()
    path.unlink()
    if content is not None:
        write(path, content)
    for _ in range(3):
        look(clock)
    assert keys.newest == OLD.encode()
    (line,) = log.lines
    assert line.startswith("the key stays as it is, because there is ")
    assert "nnn" not in line
    write(path, NEW)
    look(clock)
    assert keys.newest == NEW.encode()


def test_a_file_that_may_be_read_now_is_tried_again(
    follow: Callable[..., KeyFile],
    clock: TurningClock,
    keys: Keys,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied(path: str) -> bytes:
        raise ConfigError(f'"{path}": Permission denied')

    follow()
    replace(path, NEW)
    with monkeypatch.context() as patched:
        patched.setattr("tuleaprt.configuration.reload.read_key", denied)
        look(clock)
    look(clock)
    assert keys.newest == NEW.encode()


def test_the_same_key_written_again_is_no_change(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path, log: Log
) -> None:
    follow()
    replace(path, OLD)
    look(clock)
    assert keys.changes == []
    assert log.lines == []


def test_a_key_that_somebody_has_read_is_taken_at_once(
    follow: Callable[..., KeyFile], keys: Keys, path: Path
) -> None:
    file = follow()
    file.old_key_seconds = 5
    file.take(NEW.encode())
    assert keys.changes == [(1000, 5)]


def test_half_a_key_that_somebody_has_read_is_not_the_last_word(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path
) -> None:
    file = follow()
    look(clock)
    write(path, NEW)
    file.take(NEW[:40].encode())
    look(clock)
    assert keys.newest == NEW.encode()


def test_a_change_between_the_reading_of_the_configuration_and_the_start_is_seen(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path
) -> None:
    write(path, NEW)
    follow()
    look(clock)
    assert keys.newest == NEW.encode()


def test_another_file_may_be_followed(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, tmp_path: Path
) -> None:
    follow().follow(str(write(tmp_path / "other", NEW)))
    look(clock)
    assert keys.newest == NEW.encode()


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o620])
def test_a_key_that_others_may_read_is_warned_of(
    follow: Callable[..., KeyFile], path: Path, log: Log, mode: int
) -> None:
    path.chmod(mode)
    follow()
    (line,) = log.lines
    assert f"{path} has mode {mode:04o}" in line
    assert log.events[0]["log_level"].name == "warn"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_of_ones_own_is_not(follow: Callable[..., KeyFile], path: Path, log: Log, mode: int) -> None:
    path.chmod(mode)
    follow()
    assert log.lines == []


def test_each_new_key_that_others_may_read_is_warned_of(
    follow: Callable[..., KeyFile], clock: TurningClock, path: Path, log: Log
) -> None:
    follow()
    write(path, NEW, 0o644)
    look(clock)
    assert [line for line in log.lines if "has mode 0644" in line]


def test_the_modes_of_systemds_credentials_are_its_own_affair(
    follow: Callable[..., KeyFile], path: Path, log: Log, tmp_path: Path
) -> None:
    path.chmod(0o440)
    follow(credentials=str(tmp_path))
    assert log.lines == []
    (tmp_path / "others").mkdir()
    follow(credentials=str(tmp_path / "others"))
    assert len(log.lines) == 1


def test_a_key_that_is_not_there_when_it_starts_is_waited_for(
    follow: Callable[..., KeyFile], clock: TurningClock, keys: Keys, path: Path
) -> None:
    os.unlink(path)
    follow()
    look(clock)
    write(path, NEW)
    look(clock)
    assert keys.newest == NEW.encode()


def test_no_key_is_in_the_log_or_a_repr(
    follow: Callable[..., KeyFile], clock: TurningClock, path: Path, log: Log
) -> None:
    file = follow()
    write(path, NEW, 0o644)
    look(clock)
    shown = repr(file) + repr(vars(file)) + repr(log.events)
    assert NEW not in shown
    assert OLD not in shown
