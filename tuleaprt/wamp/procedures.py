"""The router's procedures by name: ping and history for everybody, the meta API for operators, and others."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tuleaprt.errors import NoSuchProcedure, NotAuthorized
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.calls import Arguments, Procedure, Result
from tuleaprt.wamp.realm import Member, Realm
from tuleaprt.wamp.replay import GET_EVENTS, get_events
from tuleaprt.wamp.session_meta import session_procedures
from tuleaprt.wamp.subscription_meta import subscription_procedures

PING = "org.tuleap.session.ping"


class Procedures:
    """``others`` decide themselves who may call them."""

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
            RequestError: the call is answered by an ERROR.
        """
        called = self._everybodys.get(procedure) or self._operators.get(procedure)
        if called is None:
            raise NoSuchProcedure("there is no such procedure")
        if procedure in self._operators and caller.identity.role is not Role.OPERATOR:
            raise NotAuthorized("this procedure is for operators")
        return called(caller, Arguments(args, kwargs), now)


def ping(caller: Member, arguments: Arguments, now: float) -> Result:
    """An empty RESULT. A page cannot see the pings of WebSocket (RFC 6455, 5.5.2), and calls this instead.

    Raises:
        InvalidArgument: it takes none.
    """
    arguments.done()
    return Result()
