"""One request to the private site."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import NamedTuple
from urllib.parse import urlsplit

from tuleaprt.cli.answers import shortened
from tuleaprt.errors import CommandFailed, InvalidAnswer, Unreachable

TIMEOUT_SECONDS = 30
"""For the connection, and then for the whole answer."""

MAX_BODY = 1024 * 1024
"""Bytes of an answer."""


class Answer(NamedTuple):
    """Status, its name, and the body as text."""

    status: int
    reason: str
    body: str


def request(url: str, method: str, path: str, *, bearer: str = "", body: bytes | None = None) -> Answer:
    """Ask the site at ``url`` once, as Tuleap does: JSON, if there is a body.

    Raises:
        Unreachable: no server answers there in time, or not in HTTP.
        InvalidAnswer: the body is too long, or is cut off.
        CommandFailed: it is not the URL of a site.
    """
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = _connection(url)
    try:
        connection.connect()
        with _deadline(connection.sock, url):
            connection.request(method, path, body, headers)
            with connection.getresponse() as response:
                return Answer(response.status, response.reason, _body(response, url))
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {error.strerror or error}") from None
    except (http.client.HTTPException, ValueError) as error:
        what = f"{type(error).__name__}: {shortened(str(error))}"
        raise Unreachable(f"what answers at {url} does not speak HTTP: {what}") from None
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, url: str) -> str:
    body = response.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise InvalidAnswer(f"the answer of {url} is longer than {MAX_BODY} bytes")
    if response.length:
        raise InvalidAnswer(f"the answer of {url} is cut off: {response.length} bytes are missing")
    return body.decode(errors="replace")


@contextmanager
def _deadline(connection: socket.socket, url: str) -> Iterator[None]:
    """Cut the connection when the time is over: a timeout of the socket counts from each byte anew.

    Raises:
        Unreachable: it has been cut.
    """
    is_late = Event()

    def cut() -> None:
        is_late.set()
        with suppress(OSError):
            # Not the method of TLS sockets, which pulls the layer away from under a read.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(TIMEOUT_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError, InvalidAnswer):
        if not is_late.is_set():
            raise
    finally:
        timer.cancel()
    if is_late.is_set():
        raise Unreachable(f"no whole answer of {url} within {TIMEOUT_SECONDS} seconds")


def _connection(url: str) -> http.client.HTTPConnection:
    kinds: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.path not in ("", "/"):
            raise ValueError
        return kinds[parts.scheme](parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    except (KeyError, ValueError, http.client.InvalidURL):
        raise CommandFailed(f"{url} is not the URL of a site: http://host:port") from None
