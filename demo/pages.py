"""What the substitute serves: the files of the page, and the REST interface below /api/."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from demo.api import Api, Asked
from demo.kanban import NotFound, Refused
from demo.libraries import CLIENT, LIBRARIES
from demo.posting import Poster
from demo.sample import CAMPAIGN, KANBAN
from demo.substitute import Substitute

FOLDERS = {
    "": Path(__file__).parent / "page",
    "client": CLIENT.parent,
}
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".map": "application/json",
}
MAX_BODY = 65536
LONGEST_NAME = 100
"""The longest name of a file. File systems have a limit, too, and raise above it."""


class Pages(Resource):
    """All paths: files of the page, and the REST interface below /api/."""

    isLeaf = True

    def __init__(self, substitute: Substitute, names: Sequence[str]) -> None:
        """``names`` are the allowed Host headers."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._substitute = substitute
        self._names = names

    def render(self, request: Request) -> Any:
        headers = {
            "Content-Security-Policy": self._substitute.security_policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            request.setHeader(name, value)
        host, origin = (request.getHeader(name) or "" for name in ("Host", "Origin"))
        if host not in self._names or origin not in ("", f"http://{host}"):
            return _answer(request, 403, {"error": "this site is for its own page only"})
        path = request.path.decode("latin-1").lstrip("/")
        if path.startswith("api/"):
            asked: Deferred[Any] = ensureDeferred(self._serve(request, path.removeprefix("api/")))
            asked.addErrback(_failed, request)
            return NOT_DONE_YET
        return _file(request, path)

    async def _serve(self, request: Request, path: str) -> None:
        substitute = self._substitute
        if substitute.api is None or substitute.poster is None:
            _finish(request, 503, {"error": "the real-time server is not there yet"})
        elif path == "config":
            _finish(request, 200, substitute.addresses() | {"kanban": KANBAN, "campaign": CAMPAIGN})
        elif path == "counts":
            counts = await substitute.poster.counts()
            no_answer = {"error": "the server does not answer GET /metrics"}
            _finish(request, 503 if counts is None else 200, no_answer if counts is None else counts)
        elif path.startswith("posts/"):
            posted_at = await substitute.poster.when(path.removeprefix("posts/"))
            _finish(request, 200, {"posted_at": posted_at})
        else:
            await self._change(request, path, substitute.api, substitute.poster)

    async def _change(self, request: Request, path: str, api: Api, poster: Poster) -> None:
        try:
            answer, posts = api.answer(request.method.decode("latin-1"), path, _asked(request))
        except NotFound as error:
            _finish(request, 404, {"error": f"there is no such thing, or you may not see it: {error}"})
        except Refused as error:
            _finish(request, 400, {"error": str(error)})
        else:
            await poster.post(posts)
            _finish(request, 200, answer)


def _asked(request: Request) -> Asked:
    raw = request.content.read(MAX_BODY + 1) if request.content else b""
    if raw and (request.getHeader("Content-Type") or "") != "application/json":
        raise Refused("a body must be application/json")
    try:
        query = {name.decode(): values[0].decode() for name, values in (request.args or {}).items()}
        body = json.loads(raw) if raw and len(raw) <= MAX_BODY else {}
        user_id = int(request.getHeader("X-User") or "")
    except (ValueError, RecursionError):
        raise Refused("the body and the query must be text, the body JSON, and X-User a number") from None
    if not isinstance(body, dict):
        raise Refused("the body must be an object")
    return Asked(user_id=user_id, uuid=request.getHeader("X-Client-UUID"), query=query, body=body)


def _file(request: Request, path: str) -> bytes:
    """A file of the page, of the client module, or of a library. No other file has a path here."""
    if request.method not in (b"GET", b"HEAD"):
        request.setHeader("Allow", "GET, HEAD")
        return _answer(request, 405, {"error": "a file can only be read"})
    folder, _, name = path.rpartition("/")
    if path in LIBRARIES:
        file = LIBRARIES[path]
    elif folder in FOLDERS and not name.startswith(".") and len(name) <= LONGEST_NAME:
        file = FOLDERS[folder] / (name or "index.html")
    else:
        return _answer(request, 404, {"error": "there is no such file"})
    if file.suffix not in TYPES or not file.is_file():
        return _answer(request, 404, {"error": "there is no such file"})
    request.setHeader("Content-Type", f"{TYPES[file.suffix]}; charset=utf-8")
    return file.read_bytes()


def _answer(request: Request, status: int, value: Any) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return json.dumps(value).encode()


def _finish(request: Request, status: int, value: Any) -> None:
    if not request._disconnected:
        request.write(_answer(request, status, value))
        request.finish()


def _failed(failure: Failure, request: Request) -> None:
    failure.printTraceback(sys.stderr)
    _finish(request, 500, {"error": "the substitute for Tuleap has failed; see its log"})
