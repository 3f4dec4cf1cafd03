"""URIs, patterns and ids by the WAMP specification (URIs; IDs; Pattern-based Subscriptions), and the URIs of
errors (Predefined URIs).
"""

import re
from enum import StrEnum
from hashlib import blake2b

from tuleaprt import errors

MAX_ID = 2**53
"""The largest id: JSON in JavaScript carries it exactly (WAMP: IDs)."""

MAX_URI_LENGTH = 1000
"""The longest URI that is accepted."""

# WAMP, URIs, loose rule: a component has no whitespace, "." or "#", and is not empty.
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
    """Whether the text is valid for this match policy: the last component of a prefix may be empty, and any
    component of a wildcard.

    The whole text is matched. Autobahn's own patterns end in ``$``, which accepts a trailing newline.
    """
    return len(text) <= MAX_URI_LENGTH and _FORMS[match].fullmatch(text) is not None


def publication_id(epoch: bytes, position: int, index: int) -> int:
    """The id of publication ``index`` of the record at ``position``, from 1 to 2^53-1.

    It is a keyed hash: every node that reads the same journal computes the same id, others cannot guess it,
    and it does not occur again in another epoch (``epoch`` is the key, at most 64 bytes).
    """
    return _keyed(epoch, f"{position}.{index}")


def anchor_id(epoch: bytes, pattern: str, position: int) -> int:
    """The id of a place at which the topic or pattern has no publication."""
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
    """The URI of the error in ERROR, ABORT and GOODBYE. Refusals of HELLO name their URI themselves."""
    return _URIS[type(error)]
