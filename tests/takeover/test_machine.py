"""The processes behind ports. The other facts are tested with the command, in tests/cli/test_takeover.py."""

import os
import socket
from pathlib import Path

import pytest

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.checks import Facts
from tuleaprt.takeover.machine import address_of, listening
from tuleaprt.takeover.nginx import Site


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_process_that_listens_is_named(family: int, host: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        port = listener.getsockname()[1]
        assert listening(port) is None
        listener.listen()
        found = listening(port)
    assert found == (os.getpid(), Path("/proc/self/comm").read_text().strip())
    assert listening(port) is None


def test_the_address_of_tuleap_is_that_of_its_site() -> None:
    facts = Facts(True, "", 2999, None, (), None, "", "", None, None, "", None)
    with pytest.raises(CommandFailed, match="no site"):
        address_of(facts)
    site = Site("tuleap.example.com", "192.0.2.7", 443, True, "")
    assert address_of(facts._replace(site=site)) == ("https://tuleap.example.com", "192.0.2.7")
