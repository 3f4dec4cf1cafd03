"""python-socketio's client as a page."""

import json

import pytest
import pytest_twisted

from tests.end_to_end.processes import ROOT, Process
from tests.end_to_end.server import Server
from tests.fakes import ticket, wire

ensure = pytest_twisted.ensureDeferred
# It brings an event loop of its own, so it runs beside the server's environment.
PAGE = [str(ROOT / ".venv-interop" / "bin" / "python"), "tests/interop/python_socketio_client.py"]


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling+websocket"])
@ensure
async def test_a_campaign_page_gets_its_viewers_and_events(server: Server, transports: str) -> None:
    argument = {
        "nodejs_server_version": "2.0.0",
        "token": ticket(),
        "room_id": "testmanagement_9",
        "uuid": "u-python",
    }
    url, namespace = f"http://127.0.0.1:{server.private}", "/testmanagement"
    page = Process.start([*PAGE, url, namespace, transports, json.dumps(argument)], {})
    presences = json.loads((await page.written(r'^\{"event": "presences".*'))[0])
    assert presences["data"] == [{}]
    assert (await server.post(wire("testmanagement_campaign_update"))).status == 200
    update = json.loads((await page.written(r'^\{"event": "testmanagement_campaign:update".*'))[0])
    assert update["transport"] == transports.rpartition("+")[2]
    page.transport.write(b"\n")
    assert await page.ended() == 0
