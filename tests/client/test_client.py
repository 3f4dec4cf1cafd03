"""The JavaScript client: its own tests under Node, alone and against a running server."""

import re
import shutil
from collections.abc import Callable

import pytest
import pytest_twisted

from tests.end_to_end.line import Line
from tests.end_to_end.processes import ROOT, Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES

ensure = pytest_twisted.ensureDeferred
HERE = ROOT / "tests" / "client"


def node(*arguments: str, **environment: str) -> Process:
    assert shutil.which("node"), "Node is missing: .ci/require test says what to install"
    assert (ROOT / "node_modules" / "autobahn").is_dir(), "autobahn-js is missing: make node_modules/.ready"
    return Process.start(["/usr/bin/env", "node", *arguments], environment)


async def passes(tests: Process) -> None:
    try:
        status = await patiently(tests.ended(), "the end of the tests in Node")
    except AssertionError as error:
        await tests.stop("KILL")
        raise AssertionError("\n".join([str(error), *tests.lines])) from None
    written = "\n".join(tests.lines)
    assert status == 0, written
    ran = re.search(r"^# pass (\d+)$", written, re.MULTILINE)
    assert ran is not None and int(ran[1]) > 0, written


def of(server: Server, autobahn: str = "autobahn") -> dict[str, str]:
    """What the tests must know of it."""
    return {
        "AUTOBAHN": autobahn,
        "URL_": server.url,
        "REST": f"http://127.0.0.1:{server.private}",
        "KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
    }


@ensure
async def test_the_client_by_itself() -> None:
    units = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    await passes(node("--test", "--test-reporter=tap", *units))


@pytest.mark.parametrize("autobahn", ["autobahn", "autobahn-browser"])
@ensure
async def test_the_client_with_a_running_server(autobahn: str) -> None:
    server = await Server.start(TULEAPRT_PRESENCE__GRACE="1e6")
    ports = {
        f"TULEAPRT_LISTEN__{name}": f'["tcp:{port}:interface=127.0.0.1"]'
        for name, port in (("PUBLIC", server.public), ("PRIVATE", server.private))
    }
    tests = node("--test-reporter=tap", str(HERE / "server.mjs"), **of(server, autobahn))
    await tests.written("^please restart$")
    await server.process.stop()
    server = await Server.start(TULEAPRT_PRESENCE__GRACE="1e6", **ports)
    tests.transport.write(b"done\n")
    await passes(tests)
    assert server.tracebacks() == []
    await server.process.stop("KILL")


@ensure
async def test_the_client_when_its_ticket_expires() -> None:
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="1")
    await passes(node("--test-reporter=tap", str(HERE / "expiry.mjs"), **of(server)))
    assert server.tracebacks() == []
    await server.process.stop("KILL")


@ensure
async def test_the_client_when_the_network_dies_without_a_word() -> None:
    server = await Server.start()
    line = Line(server.public)
    deeds: dict[str, Callable[[], None]] = {
        "stall both": line.stall,
        "stall to the server": lambda: line.stall(to_client=False),
        "stall to the page": lambda: line.stall(to_server=False),
        "release": line.release,
    }
    known = of(server) | {"URL_": f"ws://127.0.0.1:{line.port}/ws"}
    tests = node("--test-reporter=tap", str(HERE / "silent.mjs"), **known)
    note = tests.line

    def do(text: str) -> None:
        note(text)
        if deed := deeds.get(text.removeprefix("please ")):
            deed()
            tests.transport.write(b"done\n")

    tests.line = do  # type: ignore[method-assign]
    await passes(tests)
    assert server.tracebacks() == []
    await line.cut()
    await server.process.stop("KILL")
