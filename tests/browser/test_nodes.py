"""``make run NODES=3`` in Chromium: windows at three servers, of which one is killed."""

import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from tests.browser.browser import MEMBER, TESTER, Browser, Window, card, in_column
from tests.end_to_end.processes import Process, patiently

ensure = pytest_twisted.ensureDeferred
DOING, REVIEW = 6816, 15343


@pytest_twisted.async_yield_fixture
async def running(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process.start(
        [sys.executable, "-m", "demo.nodes", "3", "--state", str(tmp_path), "--ports-from", "27000"], {}
    )
    await process.written("Ctrl-C stops everything")
    yield process
    process.transport.signalProcess("INT")  # type: ignore[union-attr]
    assert await patiently(process.ended(), "the end") == 0, process.lines
    assert not [line for line in process.lines if "Traceback" in line or "rror" in line]


@ensure
async def test_a_window_goes_on_at_another_server_when_its_own_is_killed(
    running: Process, browser: Browser
) -> None:
    url = (await running.written(r"Look at it: (\S+)"))[1]
    windows = []
    for user in (MEMBER, TESTER, TESTER):
        windows.append(Window(browser))
        await windows[-1].do("open", url=f"{url}/?as={user}#board")
        await windows[-1].is_live()
    for window in windows[1:]:
        await window.see(card(302))
    await windows[0].press(card(302), "Shift+ArrowRight")
    for window in windows:
        await window.see(f"{in_column(DOING)} {card(302)}")
    for line in [it for it in running.lines if re.search(r"server [12]: process", it)]:
        os.kill(int(line.rsplit(" ", 1)[1]), signal.SIGKILL)
    await running.written("server 1 has ended; it is started again")
    for window in windows:
        await window.is_live()
    await windows[0].press(card(302), "Shift+ArrowRight")
    for window in windows:
        await window.see(f"{in_column(REVIEW)} {card(302)}")
        await window.do("close")
