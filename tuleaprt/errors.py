"""All errors that are raised on purpose, as one tree.

::

    TuleaprtError
    ├── ConfigError            the server does not start
    ├── CommandFailed          a command of the command line has failed
    │   ├── Unreachable            no server answers
    │   └── InvalidAnswer          the server's answer cannot be read
    ├── InvalidMessage         a post is refused; the journal has no record of it
    │   ├── MalformedMessage       it cannot be read
    │   └── RefusedMessage         it can be read, but is not accepted
    ├── JournalUnavailable     the journal cannot take an input now
    ├── CorruptRecord          a record of the journal cannot be read
    ├── TicketError            no session for this token
    │   ├── TicketExpired
    │   └── TicketRefused
    ├── PositionLost           the event history does not reach back so far
    ├── ProtocolViolation      the peer violates WAMP; its session ends
    ├── MalformedPacket        a page sends what is not Engine.IO or socket.io; its connection ends
    └── RequestError           a WAMP request is answered by ERROR
        ├── InvalidUri
        ├── InvalidArgument
        ├── NotAuthorized
        ├── NoSuchSession
        ├── NoSuchSubscription
        ├── NoSuchRegistration
        ├── NoSuchProcedure
        ├── LimitExceeded
        ├── RateExceeded
        ├── TokenInvalid
        └── Unavailable

``web.resource`` translates them into HTTP statuses, ``wamp.identifiers`` into WAMP URIs.
"""


class TuleaprtError(Exception):
    """The base of all errors that tuleaprt raises on purpose."""


class ConfigError(TuleaprtError):
    """The configuration cannot be used. ``problems`` has one line for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CommandFailed(TuleaprtError):
    """A command of the command line has failed. The text says why, and names no secret."""


class Unreachable(CommandFailed):
    """The server cannot be reached, or speaks another protocol. A later attempt may succeed."""


class InvalidAnswer(CommandFailed):
    """The server's answer cannot be read: it is not tuleaprt, or it is broken. A later attempt would fail,
    too.
    """


class InvalidMessage(TuleaprtError):
    """The body of a post is not accepted.

    ``code`` is a constant word, ``path`` the place in the body (``$.rights.tracker``). The text names
    types and rules, and never a value of the body, so it may be logged.
    """

    def __init__(self, code: str, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


class MalformedMessage(InvalidMessage):
    """The post cannot be read."""


class RefusedMessage(InvalidMessage):
    """The post can be read, but is not accepted."""


class JournalUnavailable(TuleaprtError):
    """The journal has not taken the input, so nothing was published. ``is_unknown``: it may have taken it,
    and then it is published.
    """

    def __init__(self, reason: str = "", *, is_unknown: bool = False) -> None:
        super().__init__(reason)
        self.is_unknown = is_unknown


class CorruptRecord(TuleaprtError):
    """A record of the journal cannot be read. The text quotes nothing of it."""


class TicketError(TuleaprtError):
    """The token opens no session. The text is for the log and quotes nothing of the token."""


class TicketExpired(TicketError):
    """The token has expired, and is good otherwise."""


class TicketRefused(TicketError):
    """The token is not good."""


class PositionLost(TuleaprtError):
    """The event history does not know the publication id, or has evicted a later publication."""


class ProtocolViolation(TuleaprtError):
    """The peer violates WAMP. The text is for the peer; ``what`` is for the log."""

    def __init__(self, what: str, text: str = "") -> None:
        super().__init__(text or what)
        self.what = what


class MalformedPacket(TuleaprtError):
    """A packet of a page cannot be read. The text is for the log and quotes nothing of the packet."""


class RequestError(TuleaprtError):
    """A request that is answered by ERROR. The text is for the client."""


class InvalidUri(RequestError):
    """The URI breaks the rules of the specification."""


class InvalidArgument(RequestError):
    """An argument of a procedure, or the payload of a publication, is not accepted. The text names it."""


class NotAuthorized(RequestError):
    """The session may not do this."""


class NoSuchSession(RequestError):
    """The session is unknown, or is the caller's own, which a caller cannot kill."""


class NoSuchSubscription(RequestError):
    """The subscription is unknown, or belongs to another session."""


class NoSuchRegistration(RequestError):
    """The router has no registrations."""


class NoSuchProcedure(RequestError):
    """The router has no procedure with this name."""


class LimitExceeded(RequestError):
    """The session or its user has reached a limit."""


class RateExceeded(RequestError):
    """The session sends requests faster than the rate limit allows."""


class TokenInvalid(RequestError):
    """The token does not refresh this session."""


class Unavailable(RequestError):
    """The request is valid, but cannot be served now."""
