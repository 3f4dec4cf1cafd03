"""``tuleaprt takeover`` with real servers and a real nginx, and a stand-in for systemd.

A second tuleaprt stands for the Node.js server: it speaks the same protocol on the same port.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.machine import Machine
from tests.end_to_end.server import Server
from tests.fakes import wire
from tuleaprt.takeover.plan import KEY_WATCH, NODE, SERVICE, SOCKET

ensure = pytest_twisted.ensureDeferred

NODE_SERVES = {
    NODE: (False, True, True),
    SOCKET: (False, False, False),
    SERVICE: (False, False, False),
    KEY_WATCH: (False, False, False),
}
"""Masked, enabled, active."""

TULEAPRT_SERVES = {
    NODE: (True, True, False),
    SOCKET: (False, True, True),
    SERVICE: (False, True, True),
    KEY_WATCH: (False, True, True),
}


@pytest_twisted.async_yield_fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=True)
    yield machine
    await machine.tear_down()


@pytest_twisted.async_yield_fixture
async def unserved(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=False)
    yield machine
    await machine.tear_down()


@ensure
async def test_a_dry_run_says_what_it_would_do_and_does_nothing(unserved: Machine) -> None:
    process = unserved.takeover("--dry-run")
    assert await process.ended() == 0, "\n".join(process.lines)
    assert [it for it in process.lines if it.startswith("would do")] == [
        "would do: systemctl mask --now tuleap-realtime.service",
        "would do: systemctl enable --now tuleaprt.socket tuleaprt.service tuleaprt-key.path",
    ]
    assert any(
        it.startswith(f"ok       nginx: http://localhost:{unserved.nginx.port} ") for it in process.lines
    )
    assert unserved.systemd.asked == []
    assert unserved.systemd.state() == NODE_SERVES


@ensure
async def test_tuleaprt_takes_over_twice_and_gives_back_twice(machine: Machine) -> None:
    process = machine.takeover()
    assert await process.ended() == 0, "\n".join(process.lines)
    assert process.lines[-1] == "tuleaprt serves, and a post reaches a page through nginx"
    assert machine.systemd.state() == TULEAPRT_SERVES
    assert machine.systemd.serving == [SERVICE]
    asked = len(machine.systemd.asked)
    process = machine.takeover()
    assert await process.ended() == 0, "\n".join(process.lines)
    assert process.lines[-1] == "tuleaprt served already, and a post reaches a page through nginx"
    assert len(machine.systemd.asked) == asked
    for last in ("serves", "served already"):
        process = machine.takeover("--back")
        assert await process.ended() == 0, "\n".join(process.lines)
        assert process.lines[-1] == f"the Node.js server {last}, and a post reaches a page through nginx"
        assert machine.systemd.state() == NODE_SERVES
        assert machine.systemd.serving == [NODE]


@ensure
async def test_the_way_back_does_not_need_tuleaprts_configuration(machine: Machine) -> None:
    assert await machine.takeover().ended() == 0
    machine.config.write_text("[nothing]\n")
    process = machine.takeover("--back")
    assert await process.ended() == 0, "\n".join(process.lines)
    assert machine.systemd.state() == NODE_SERVES


async def undone(machine: Machine, *arguments: str) -> str:
    """The reason of a takeover that fails and leaves all as it was."""
    process = machine.takeover(*arguments)
    assert await process.ended() == 1, process.lines
    assert machine.systemd.state() == NODE_SERVES
    assert machine.systemd.serving == [NODE]
    return process.lines[-1]


@ensure
async def test_a_server_that_does_not_start_is_put_back(machine: Machine) -> None:
    # A port that only the start finds taken: the check sees no process on it.
    machine.configure(**{"tls.certificate": '"/nowhere"', "listen.public_tls": '["tcp:0"]'})
    reason = await undone(machine)
    assert "tuleaprt.socket" in reason
    assert reason.endswith("everything is as before")


@ensure
async def test_a_server_through_which_no_post_reaches_a_page_is_put_back(machine: Machine) -> None:
    machine.is_mute = True
    reason = await undone(machine)
    assert "no answer of the server through nginx" in reason
    assert reason.endswith("everything is as before")
    server = machine.systemd.units[NODE].server
    assert server is not None
    assert (await server.post(wire("kanban_item_create"))).status == 200


@ensure
async def test_an_interrupted_takeover_is_put_back(machine: Machine) -> None:
    machine.is_mute = True
    process = machine.takeover("--patience", "1000")
    await process.written(r"^\+ systemctl enable --now ")
    process.transport.signalProcess("HUP")
    assert await process.ended() == 1, process.lines
    assert "everything is as before" in process.lines[-1]
    assert machine.systemd.state() == NODE_SERVES
    assert machine.systemd.serving == [NODE]


Breaking = Callable[[Machine], None]


@pytest.mark.parametrize(
    ("breaking", "text"),
    [
        (lambda it: it.command("id", "echo 1000"), "PROBLEM  user: only root can swap services"),
        (lambda it: it.command("setpriv", "exit 126"), "PROBLEM  Python: "),
        (lambda it: it.command("nginx", "echo no such directive >&2; exit 1"), "no such directive"),
        (lambda it: it.config.write_text("[limits]\nmax_outbox = 'many'\n"), "[limits] max_outbox"),
        (
            lambda it: it.configure(**{"realtime.post_secret": '"s"'}),
            "PROBLEM  configuration: [realtime] post_secret is set",
        ),
        (
            lambda it: setattr(it.systemd.units[SOCKET], "is_known", False),
            "PROBLEM  services: systemd does not know tuleaprt.socket",
        ),
    ],
)
@ensure
async def test_a_problem_that_shows_before_stops_the_takeover(
    unserved: Machine, breaking: Breaking, text: str
) -> None:
    breaking(unserved)
    process = unserved.takeover()
    assert await process.ended() == 1
    assert any(text in it for it in process.lines), process.lines
    assert process.lines[-1] == "tuleaprt: there is a problem; nothing was changed"
    assert unserved.systemd.asked == []


@ensure
async def test_another_process_on_the_servers_port_is_named(unserved: Machine) -> None:
    other = await Server.start(TULEAPRT_LISTEN__PUBLIC=f'["tcp:{unserved.public}:interface=127.0.0.1"]')
    process = unserved.takeover()
    assert await process.ended() == 1
    text = f"PROBLEM  port: process {other.process.pid} (twistd) listens on {unserved.public}"
    assert any(it.startswith(text) for it in process.lines), process.lines
    await other.process.stop()


@ensure
async def test_a_takeover_without_the_proof(unserved: Machine) -> None:
    unserved.is_mute = True
    process = unserved.takeover("--no-proof")
    assert await process.ended() == 0
    assert process.lines[-1] == "tuleaprt serves"


@ensure
async def test_a_machine_without_systemd_and_supervisord_is_refused(unserved: Machine) -> None:
    unserved.command("systemctl", "echo System has not been booted with systemd >&2; exit 1")
    process = unserved.takeover("--supervisord", "/nowhere")
    assert await process.ended() == 1
    assert process.lines == ["tuleaprt: neither systemd nor a configuration of supervisord is here"]
