"""Everything that can go wrong on purpose, as one tree.

::

    TuleaprtError
    ├── ConfigError            the server does not start
    ├── CommandFailed          the command line could not do what it was asked to do
    │   └── Unreachable            nobody answers there
    ├── InvalidMessage         a post is refused; nothing was journalled
    │   ├── MalformedMessage       its envelope cannot be read
    │   └── RefusedMessage         it can be read, but says something that is not accepted
    ├── JournalUnavailable     the journal cannot take an input now
    ├── TicketError            no session for this ticket
    │   ├── TicketExpired
    │   └── TicketRefused
    ├── PositionLost           the history does not reach back so far
    ├── ProtocolViolation      a peer does not speak WAMP; its session ends
    └── RequestError           a WAMP request is answered by an ERROR
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

No HTTP status and no WAMP URI here: ``web.resource`` and ``wamp.uris`` translate.
"""


class TuleaprtError(Exception):
    """Base of all errors that tuleaprt raises on purpose."""


class ConfigError(TuleaprtError):
    """The configuration cannot be used; ``problems`` holds one line for each thing that is wrong."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CommandFailed(TuleaprtError):
    """What the command line was asked to do failed; the text says why and names no secret."""


class Unreachable(CommandFailed):
    """The server cannot be reached, or does not speak what it should; later it may."""


class InvalidAnswer(CommandFailed):
    """The server answers what cannot be read; it is not tuleaprt, or is broken, and will be later."""


class InvalidMessage(TuleaprtError):
    """A body of ``POST /message`` that is not accepted.

    ``code`` is a stable word, ``path`` the place in the body (``$.rights.tracker``).
    The text names types and rules, never a value of the body, so that it may be logged.
    """

    def __init__(self, code: str, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


class MalformedMessage(InvalidMessage):
    """The envelope cannot be read."""


class RefusedMessage(InvalidMessage):
    """The envelope can be read, but asks for something that is not accepted."""


class JournalUnavailable(TuleaprtError):
    """The journal did not take the input; nothing was published."""


class TicketError(TuleaprtError):
    """The ticket opens no session. The text is for the log and holds nothing of the ticket."""


class TicketExpired(TicketError):
    """The ticket was good once."""


class TicketRefused(TicketError):
    """The ticket was never good."""


class PositionLost(TuleaprtError):
    """A publication id that the history does not know, or after which something has gone from it."""


class ProtocolViolation(TuleaprtError):
    """What came is not WAMP, or not in its place. The text is for the peer; ``what`` is for the log."""

    def __init__(self, what: str, text: str = "") -> None:
        super().__init__(text or what)
        self.what = what


class RequestError(TuleaprtError):
    """A request of a session that is answered by an ERROR; the text goes to the client."""


class InvalidUri(RequestError):
    """A URI that breaks the specification's rules."""


class InvalidArgument(RequestError):
    """A procedure's argument, or a publication's payload, that is not accepted; the text names it."""


class NotAuthorized(RequestError):
    """The session may not do that."""


class NoSuchSession(RequestError):
    """The session is unknown, or is the caller's own, which it cannot kill."""


class NoSuchSubscription(RequestError):
    """The subscription is unknown, or is not the session's own."""


class NoSuchRegistration(RequestError):
    """There are no registrations."""


class NoSuchProcedure(RequestError):
    """No procedure has this name."""


class LimitExceeded(RequestError):
    """The session already has as much of it as one session may have."""


class RateExceeded(RequestError):
    """The session asks faster than it may, and has done so for a while."""


class TokenInvalid(RequestError):
    """A ticket that does not refresh this session."""


class Unavailable(RequestError):
    """The request is sound, but cannot be served now."""
