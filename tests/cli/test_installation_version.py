"""``tuleaprt version``"""

import platform
from importlib.metadata import version

import pytest_twisted

from tests.cli.conftest import Tuleaprt

ensure = pytest_twisted.ensureDeferred


@ensure
async def test_it_says_what_a_report_needs(alone: Tuleaprt) -> None:
    process = alone("version")
    assert await process.ended() == 0
    assert process.lines[1:] == [
        f"Python {platform.python_version()}",
        f"Twisted {version('Twisted')}",
        f"autobahn {version('autobahn')}",
        "events are sent in C",
    ]
    assert process.lines[0].startswith("tuleaprt ")


@ensure
async def test_it_says_that_events_are_sent_in_python(alone: Tuleaprt) -> None:
    process = alone("version", TULEAPRT_COMPILED="0")
    assert await process.ended() == 0
    assert process.lines[-1] == "events are sent in Python (TULEAPRT_COMPILED=0)"
