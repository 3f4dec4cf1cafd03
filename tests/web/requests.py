"""Feeds bytes to a site and reads the answers, without a network."""

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        found: dict[str, str] = self.json["error"]
        return found


class Connection:
    """One HTTP connection to a site."""

    def __init__(self, site: Site) -> None:
        self.channel = site.buildProtocol(None)
        self.transport = StringTransport()
        self.closed = False
        self.channel.makeConnection(self.transport)

    def close(self) -> None:
        """The peer closes the connection, once."""
        if not self.closed:
            self.closed = True
            self.channel.connectionLost(Failure(ConnectionDone()))

    def send(self, data: bytes) -> list[Answer]:
        self.channel.dataReceived(data)
        received = self.transport.value()
        self.transport.clear()
        answers = []
        while received:
            head, _, received = received.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = int(headers.get("content-length", 0))
            answers.append(Answer(int(status.split()[1]), headers, received[:length]))
            received = received[length:]
        return answers


def request(
    method: str = "POST",
    path: str = "/message",
    body: bytes | None = b"{}",
    **headers: str | None,
) -> bytes:
    """The bytes of a request such as Tuleap's; a header that is None is left out."""
    all_headers: dict[str, str | None] = {"Host": "localhost:2999", "Content_Type": "application/json"}
    if body is not None:
        all_headers["Content_Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [
        f"{name.replace('_', '-')}: {value}"
        for name, value in (all_headers | headers).items()
        if value is not None
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
