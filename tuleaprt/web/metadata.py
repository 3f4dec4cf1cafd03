"""What a request says about itself and its body: each header is honoured or refused, none is ignored.

====================================  =====================================================================
``Expect``                            417 for all but ``100-continue`` (RFC 9110, 10.1.1)
``If-Match``, ``If-None-Match``,      412: nothing here has an entity tag or a date, so a condition on a
``If-Unmodified-Since``               change cannot be met; of a GET, only ``If-Match`` (RFC 9110, 13.1)
``Content-Range``                     400: a part of a body is no body (RFC 9110, 14.5)
``Content-Encoding``                  415 for all but ``identity`` (RFC 9110, 15.5.16)
``Content-Type``                      415 for all but ``application/json``, in UTF-8
====================================  =====================================================================
"""

import re
from typing import Protocol

from tuleaprt.web.errors import HttpError

SAFE = (b"GET", b"HEAD")
_CONDITIONS_OF_A_CHANGE = (b"If-Match", b"If-None-Match", b"If-Unmodified-Since")
# Possessive: white space between two semicolons could be read in two ways, and so twice as often for each.
_JSON = re.compile(rb'application/json(?:[ \t]*+;[ \t]*+(?:charset=(?:utf-8|"utf-8"))?)*', re.IGNORECASE)


class Headers(Protocol):
    """A request, as far as its headers go."""

    @property
    def method(self) -> bytes: ...

    def header(self, name: bytes) -> bytes | None:
        """All lines of this name as one list (RFC 9110, 5.3); None: there is none."""


class WithBody(Headers, Protocol):
    """A request that has been read."""

    @property
    def length(self) -> int | None:
        """In bytes; None: it was not announced."""

    def body(self) -> bytes:
        """
        Raises:
            HttpError: 411 or 413.
        """
        ...


def check_request(request: Headers) -> None:
    """
    Raises:
        HttpError: 400, 412 or 417: the request asks for more than would be done.
    """
    if any(it != b"100-continue" for it in _elements(request.header(b"Expect"))):
        raise HttpError(417, "expect", "Expect: only 100-continue is understood here")
    if request.method in SAFE:
        is_conditional = request.header(b"If-Match") not in (None, b"*")
    else:
        is_conditional = any(request.header(name) is not None for name in _CONDITIONS_OF_A_CHANGE)
    if is_conditional:
        raise HttpError(
            412, "condition", "a condition cannot be met: nothing here has an entity tag or a date"
        )
    if request.header(b"Content-Range") is not None:
        raise HttpError(400, "content_range", "Content-Range: a body must be whole")


def json_body(request: WithBody, *, must_be_typed: bool = True) -> bytes:
    """The body of a request that must have one; ``must_be_typed``: Content-Type may not be left out.

    A web page can send a body without a type, or of some other types, to any site without asking first.

    Raises:
        HttpError: 411, 413 or 415.
    """
    _check_content(request, must_be_typed)
    return request.body()


def no_body(request: WithBody) -> None:
    """
    Raises:
        HttpError: 400 or 415: there is a body that would not be read, or it is described.
    """
    _check_content(request, must_be_typed=False)
    if request.length != 0:
        raise HttpError(400, "unexpected_body", "this request has no body")


def _check_content(request: Headers, must_be_typed: bool) -> None:
    if any(it != b"identity" for it in _elements(request.header(b"Content-Encoding"))):
        accepted = {"Accept-Encoding": "identity"}
        raise HttpError(
            415, "content_encoding", "Content-Encoding: a body is not encoded here", headers=accepted
        )
    content_type = request.header(b"Content-Type")
    is_wrong = must_be_typed if content_type is None else not _JSON.fullmatch(content_type)
    if is_wrong:
        raise HttpError(415, "content_type", "Content-Type: a body is application/json, in UTF-8")


def _elements(header: bytes | None) -> list[bytes]:
    """Of a list (RFC 9110, 5.6.1), in lower case; empty elements are none."""
    return [it for part in (header or b"").split(b",") if (it := part.strip(b" \t").lower())]
