"""``tuleaprt post``: posts a message as Tuleap does. Also requests to the private site in general."""

import argparse
import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from tuleaprt.cli.answers import printable, read_json, shortened
from tuleaprt.cli.settings import add_config, configuration, private_url, read_secret
from tuleaprt.errors import CommandFailed, InvalidAnswer, Unreachable

TIMEOUT_SECONDS = 30
"""For the connection, and then for the whole answer."""

MAX_BODY = 1024 * 1024
"""The longest answer, in bytes."""


class Answer(NamedTuple):
    """Status, reason phrase, and the body as text."""

    status: int
    reason: str
    body: str


def request(url: str, method: str, path: str, *, bearer: str = "", body: bytes | None = None) -> Answer:
    """Send one request to the site at ``url``. A body is sent as JSON.

    Raises:
        Unreachable: no server answers in time, or not in HTTP.
        InvalidAnswer: the body is too long, or incomplete.
        CommandFailed: the URL is wrong.
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
    """Close the connection when the time is over. A socket's timeout would begin again at each byte.

    Raises:
        Unreachable: the time was over.
    """
    is_late = Event()

    def cut() -> None:
        is_late.set()
        with suppress(OSError):
            # The method of TLS sockets would remove the TLS layer during a read.
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


OK = 200


class Published(msgspec.Struct):
    """The body of a 200."""

    publication: int


class Refused(msgspec.Struct):
    """The body of any other status."""

    error: dict[str, Any]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "post",
        help="post a message as Tuleap does",
        description="Post a message as Tuleap does when something has changed, and print the status and the"
        " answer. The message is published to all clients that may see it.",
    )
    parser.add_argument("file", metavar="FILE", help="the body, in JSON; - is stdin")
    parser.add_argument(
        "--url",
        metavar="URL",
        help="the private site, http://host:port (default: the first tcp endpoint of [listen] private)",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        help="a file with the secret that posts must carry (default: [realtime] post_secret)",
    )
    add_config(parser)
    parser.set_defaults(command=post)


def post(arguments: argparse.Namespace) -> int:
    config = configuration(arguments, with_key=False)
    url = private_url(arguments.url, config, "--url")
    if arguments.secret_file:
        secret = read_secret(arguments.secret_file)
    else:
        secret = config.post_secret.decode("latin-1")
    answer = request(url, "POST", "/message", bearer=secret, body=_read(arguments.file))
    print(answer.status, printable(answer.reason))
    print(printable(shortened(answer.body.rstrip("\n"))))
    if answer.status == OK:
        read_json(answer.body, Published, url)
        return 0
    read_json(answer.body, Refused, url)
    return 1


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandFailed(f"{name}: {error.strerror}") from None
