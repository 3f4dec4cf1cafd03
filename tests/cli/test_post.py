"""One request to the private site."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.end_to_end.server import Server
from tests.fakes import wire
from tuleaprt.cli.post import Answer, request
from tuleaprt.errors import CommandFailed, Unreachable

ensure = pytest_twisted.ensureDeferred
Ask = Callable[..., Any]


def ask(*arguments: str, **keywords: Any) -> Any:
    return deferToThread(request, *arguments, **keywords)


@ensure
async def test_the_answer_is_what_the_site_says(server: Server) -> None:
    url = f"http://127.0.0.1:{server.private}"
    answer: Answer = await ask(url, "POST", "/message", body=wire("kanban_item_create"))
    assert (answer.status, answer.reason, list(json.loads(answer.body))) == (200, "OK", ["publication"])
    assert (await ask(url, "DELETE", "/sessions/102", bearer="x")).status == 401


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:y", "http://x/message", "x:1", "http://[::1"]
)
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(CommandFailed, match="is not the URL of a site"):
        request(url, "GET", "/")


@ensure
async def test_what_does_not_speak_http_is_said() -> None:
    class Mumbling(Protocol):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(b"mumble\r\n\r\n")
            self.transport.loseConnection()

    port = reactor.listenTCP(0, Factory.forProtocol(Mumbling), interface="127.0.0.1")
    try:
        with pytest.raises(Unreachable, match="does not speak HTTP: BadStatusLine"):
            await ask(f"http://127.0.0.1:{port.getHost().port}", "GET", "/")
    finally:
        await port.stopListening()
