"""``tuleaprt sessions`` lists and ends sessions."""

import json
import re

import pytest_twisted

from tests.cli.conftest import Tuleaprt
from tests.end_to_end.clients import PythonClient, WampError
from tests.end_to_end.processes import patiently
from tests.end_to_end.server import Server
from tests.fakes import ticket

ensure = pytest_twisted.ensureDeferred


async def opened(server: Server, user_id: int) -> PythonClient:
    client = PythonClient(server.url)
    await client.open(ticket(user_id))
    return client


@ensure
async def test_they_are_listed_counted_and_ended(server: Server, tuleaprt: Tuleaprt) -> None:
    clients = [await opened(server, user) for user in (102, 103)]
    table = tuleaprt("sessions")
    assert await table.ended() == 0
    head, *rows = [line.split() for line in table.lines]
    assert head == ["SESSION", "USER", "ROLE", "TRANSPORT", "PEER"]
    assert [row[1:5] for row in rows] == [
        ["102", "user", "websocket", "wamp.2.json"],
        ["103", "user", "websocket", "wamp.2.json"],
    ]
    lines = tuleaprt("sessions", "list", "--json")
    assert await lines.ended() == 0
    assert [str(json.loads(line)["session"]) for line in lines.lines] == [row[0] for row in rows]
    count = tuleaprt("sessions", "count")
    assert (await count.ended(), count.lines) == (0, ["2"])

    kill = tuleaprt("sessions", "kill", rows[0][0], rows[1][0])
    assert await kill.ended() == 0
    for client in clients:
        assert await patiently(client.closed, "the end") == "wamp.close.killed"
    again = tuleaprt("sessions", "kill", rows[0][0])
    assert await again.ended() == 1
    assert again.lines == [f"session {rows[0][0]}: wamp.error.no_such_session: there is no such session"]


@ensure
async def test_kill_user_ends_all_his_sessions_and_his_tickets(server: Server, tuleaprt: Tuleaprt) -> None:
    shown = ticket(104)
    client, other = PythonClient(server.url), await opened(server, 105)
    await client.open(shown)
    kill = tuleaprt("sessions", "kill", "--user", "104")
    assert await kill.ended() == 0
    assert await patiently(client.closed, "the end") == "org.tuleap.close.revoked"
    again = PythonClient(server.url)
    try:
        await again.open(shown)
    except WampError as error:
        assert "authentication_denied" in str(error)
    else:
        raise AssertionError("the ticket is still good")
    assert not other.closed.called
    await other.leave()
    await other.closed


@ensure
async def test_a_user_is_told_that_he_may_not(tuleaprt: Tuleaprt) -> None:
    listing = tuleaprt("sessions", TICKET=ticket())
    assert await listing.ended() == 1
    assert re.match(r"tuleaprt: wamp\.error\.not_authorized", listing.lines[-1])
    kill = tuleaprt("sessions", "kill", "--user", "102", TICKET=ticket())
    assert await kill.ended() == 1
    assert kill.lines[-1].startswith("tuleaprt: the server refuses: 403 ")


@ensure
async def test_options_may_stand_before_the_action_or_after_it(server: Server, tuleaprt: Tuleaprt) -> None:
    for arguments in (["--url", server.url, "count"], ["count", "--url", server.url]):
        nowhere = tuleaprt("sessions", *arguments, TULEAPRT_LISTEN__PUBLIC='["tcp:1"]')
        assert await nowhere.ended() == 0
