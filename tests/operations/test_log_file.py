"""What becomes of a log file under the tools that administrators use."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuleaprt.operations.log_file import LogFile, Output, standard_output


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "tuleaprt.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    file = LogFile(str(path))
    file.write("first\n")
    yield file
    file.close()


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o640), (0o022, 0o640), (0o077, 0o600)])
def test_a_new_file_cannot_be_read_by_others(path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        LogFile(str(path)).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_that_is_there_keeps_its_mode_and_its_lines(path: Path) -> None:
    path.write_text("old\n")
    path.chmod(0o604)
    file = LogFile(str(path))
    file.write("new\n")
    file.close()
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (0o604, "old\nnew\n")


def test_a_renamed_file_is_written_on_until_it_is_opened_again(file: LogFile, path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    file.write("second\n")
    file.reopen()
    file.write("third\n")
    assert (path.with_suffix(".1").read_text(), path.read_text()) == ("first\nsecond\n", "third\n")


def test_a_file_that_was_truncated_begins_again_without_a_hole(file: LogFile, path: Path) -> None:
    os.truncate(path, 0)
    file.write("second\n")
    assert path.read_bytes() == b"second\n"


def test_a_file_that_was_deleted_is_made_again_with_the_next_line(file: LogFile, path: Path) -> None:
    path.unlink()
    file.write("second\n")
    assert path.read_text() == "second\n"


def test_a_folder_that_is_gone_loses_lines_until_it_is_back(file: LogFile, path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file.write("lost\n")
    path.parent.mkdir()
    file.write("second\n")
    assert path.read_text() == "second\n"


def test_opening_again_what_is_still_the_same_file_does_not_open_it(file: LogFile, path: Path) -> None:
    # A server that has shed its privileges may write to the file that root has opened, and not open it.
    before = file._descriptor
    file.reopen()
    assert file._descriptor == before


def test_a_file_that_cannot_be_opened_again_is_written_on(file: LogFile, path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        file.reopen()
    file.write("second\n")
    assert path.with_suffix(".1").read_text() == "first\nsecond\n"


def test_a_full_device_raises_and_nothing_worse() -> None:
    file = LogFile("/dev/full")
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            file.write("lost\n")
    file.close()


def test_a_pipe_that_is_not_read_does_not_hold_up_the_server_and_lines_stay_whole() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    line = "x" * 9999 + "\n"
    with pytest.raises(BlockingIOError):
        while True:
            output.write(line)
    for _ in range(1000):  # a server that waited each time would not come to an end here
        with pytest.raises(BlockingIOError):
            output.write(line)
    os.read(reader, 1_000_000)
    output.write("whole\n")
    assert os.read(reader, 1_000_000) == b"\nwhole\n"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        output.write("lost\n")
    os.close(writer)


def test_what_cannot_be_encoded_is_written_in_escapes(file: LogFile, path: Path) -> None:
    file.write("\udcff\N{SNOWMAN}\n")
    assert path.read_text() == "first\n\\udcff\N{SNOWMAN}\n"


def test_without_a_standard_output_no_connection_is_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = standard_output()
    assert os.path.samestat(os.fstat(output._descriptor), os.stat(os.devnull))
    output.write("nowhere\n")
    os.close(output._descriptor)
