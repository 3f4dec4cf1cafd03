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
    ]
    assert process.lines[0].startswith("tuleaprt ")
