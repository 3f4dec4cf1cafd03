"""One request to the private site."""

import http.client
from typing import NamedTuple
from urllib.parse import urlsplit

from tuleaprt.errors import CommandFailed, Unreachable

TIMEOUT_SECONDS = 30


class Answer(NamedTuple):
    """Status, its name, and the body as text."""

    status: int
    reason: str
    body: str


def request(url: str, method: str, path: str, *, bearer: str = "", body: bytes | None = None) -> Answer:
    """Ask the site at ``url`` once, as Tuleap does: JSON, if there is a body.

    Raises:
        Unreachable: nobody answers there, or not in HTTP.
        CommandFailed: it is not the URL of a site.
    """
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = _connection(url)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.reason, response.read().decode(errors="replace"))
    except OSError as error:
        raise Unreachable(f"cannot reach {url}: {error.strerror or error}") from None
    except http.client.HTTPException as error:
        raise Unreachable(f"what answers at {url} does not speak HTTP: {type(error).__name__}") from None
    finally:
        connection.close()


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
