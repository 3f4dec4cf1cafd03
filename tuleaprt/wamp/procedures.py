"""The router's procedures by name: ping, event history and token refresh for all sessions, the meta API for
operators.

``org.tuleap.session.refresh`` shows a newer token, so that the session continues::

    CALL    ["eyJ0eXAi…"]
    RESULT  [{"expires_at": 1741878120.123}]

The token must have the same user and role. A token that expires earlier changes nothing. The session takes
over the rooms and the end of the token, and loses the subscriptions that the token does not allow. All
sessions of the user take over its groups (``auth.Credentials``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tuleaprt.errors import NoSuchProcedure, NotAuthorized, TicketError, TokenInvalid
from tuleaprt.wamp.auth import Authenticator, Role
from tuleaprt.wamp.calls import Arguments, Procedure, Result, a_text
from tuleaprt.wamp.meta_procedures import session_procedures, subscription_procedures
from tuleaprt.wamp.realm import Member, Realm
from tuleaprt.wamp.replay import GET_EVENTS, get_events

REFRESH = "org.tuleap.session.refresh"


def refresh(
    realm: Realm, authenticator: Authenticator, caller: Member, arguments: Arguments, now: float
) -> Result:
    """
    Raises:
        TokenInvalid: the token is not good, or has another user or role; nothing has changed.
        InvalidArgument
    """
    ticket = arguments.next("ticket", a_text)
    arguments.done()
    try:
        identity = authenticator.authenticate(ticket, now)
    except TicketError:
        raise TokenInvalid("this token is not good") from None
    former = caller.identity
    if (identity.user_id, identity.role) != (former.user_id, former.role):
        raise TokenInvalid("this token has another user or role")
    if identity.exp >= former.exp:
        longer = max(identity.expires_at, former.expires_at)
        realm.show(caller, replace(identity, expires_at=longer), now)
    return Result(args=[{"expires_at": caller.identity.expires_at}])


PING = "org.tuleap.session.ping"


class Procedures:
    """All procedures. ``others`` check by themselves whether the caller may call them."""

    def __init__(self, realm: Realm, others: Mapping[str, Procedure]) -> None:
        self._everybodys: dict[str, Procedure] = {
            PING: ping,
            GET_EVENTS: partial(get_events, realm),
            **others,
        }
        self._operators = session_procedures(realm) | subscription_procedures(realm)

    def call(
        self, caller: Member, procedure: str, args: Sequence[Any], kwargs: Mapping[str, Any], now: float
    ) -> Result:
        """
        Raises:
            RequestError: the call is answered by ERROR.
        """
        called = self._everybodys.get(procedure) or self._operators.get(procedure)
        if called is None:
            raise NoSuchProcedure("there is no such procedure")
        if procedure in self._operators and caller.identity.role is not Role.OPERATOR:
            raise NotAuthorized("this procedure is for operators")
        return called(caller, Arguments(args, kwargs), now)


def ping(caller: Member, arguments: Arguments, now: float) -> Result:
    """An empty RESULT. Pages call it to test the connection, because they cannot see WebSocket pings (RFC
    6455, 5.5.2).

    Raises:
        InvalidArgument: there is an argument.
    """
    arguments.done()
    return Result()
