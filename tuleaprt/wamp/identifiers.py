"""URIs, patterns and ids by the rules of the WAMP specification (URIs; IDs; Pattern-based Subscriptions).

The only translation of errors into the URIs of WAMP (WAMP: Predefined URIs) and of tuleaprt.
"""

import re
from enum import StrEnum
from hashlib import blake2b

from tuleaprt import errors

MAX_ID = 2**53
"""The greatest id that JSON carries exactly (WAMP: IDs)."""

MAX_URI_LENGTH = 1000
"""Longer than any URI that means something."""

# WAMP, URIs, loose rule: components without whitespace, "." and "#", none of them empty.
_COMPONENT = r"[^\s.#]"
_URI = re.compile(rf"(?:{_COMPONENT}+\.)*{_COMPONENT}+")
_PREFIX = re.compile(rf"(?:{_COMPONENT}+\.)*{_COMPONENT}*")
_WILDCARD = re.compile(rf"(?:{_COMPONENT}*\.)*{_COMPONENT}*")


class Match(StrEnum):
    """SUBSCRIBE.Options.match: how the topic of a subscription is compared with that of an event."""

    EXACT = "exact"
    PREFIX = "prefix"
    WILDCARD = "wildcard"


_FORMS = {Match.EXACT: _URI, Match.PREFIX: _PREFIX, Match.WILDCARD: _WILDCARD}


def is_uri(text: str) -> bool:
    """Whether the text is a URI by the loose rule, without empty components."""
    return is_pattern(text, Match.EXACT)


def is_pattern(text: str, match: Match) -> bool:
    """Whether the text may be matched so: a prefix may end in an empty component, a wildcard have any.

    The whole text must fit: Autobahn's own patterns end in ``$``, which lets one newline pass.
    """
    return len(text) <= MAX_URI_LENGTH and _FORMS[match].fullmatch(text) is not None


def publication_id(epoch: bytes, position: int, index: int) -> int:
    """The id of publication ``index`` of the record at ``position``, 1…2^53-1.

    A keyed hash: equal on every node that reads the same journal, not to be guessed by anybody else, and
    never met again after the epoch (at most 64 bytes) has ended.
    """
    return _keyed(epoch, f"{position}.{index}")


def anchor_id(epoch: bytes, pattern: str, position: int) -> int:
    """The id that stands for a place in the history of a topic, or pattern, where there is no publication."""
    return _keyed(epoch, f"{position} {pattern}")


def _keyed(epoch: bytes, text: str) -> int:
    digest = blake2b(text.encode(errors="surrogatepass"), key=epoch, digest_size=8).digest()
    return int.from_bytes(digest) >> 11 or 1


_URIS: dict[type[errors.TuleaprtError], str] = {
    errors.InvalidUri: "wamp.error.invalid_uri",
    errors.InvalidArgument: "wamp.error.invalid_argument",
    errors.NotAuthorized: "wamp.error.not_authorized",
    errors.NoSuchSession: "wamp.error.no_such_session",
    errors.NoSuchSubscription: "wamp.error.no_such_subscription",
    errors.NoSuchRegistration: "wamp.error.no_such_registration",
    errors.NoSuchProcedure: "wamp.error.no_such_procedure",
    errors.LimitExceeded: "org.tuleap.error.limit_exceeded",
    errors.RateExceeded: "org.tuleap.error.rate_exceeded",
    errors.TokenInvalid: "org.tuleap.error.token_invalid",
    errors.Unavailable: "org.tuleap.error.unavailable",
    errors.TicketExpired: "org.tuleap.error.token_expired",
    errors.TicketRefused: "wamp.error.authentication_denied",
    errors.ProtocolViolation: "wamp.error.protocol_violation",
}


def uri_of(error: errors.TuleaprtError) -> str:
    """What ERROR, ABORT or GOODBYE call it. What HELLO is refused for has its URI on the spot."""
    return _URIS[type(error)]
