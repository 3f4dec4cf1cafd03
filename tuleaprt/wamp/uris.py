"""The only translation of errors into the URIs of WAMP (WAMP: Predefined URIs) and of tuleaprt."""

from tuleaprt import errors

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
