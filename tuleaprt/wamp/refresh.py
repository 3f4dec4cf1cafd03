"""``org.tuleap.session.refresh``: a session shows a newer ticket, and goes on.

::

    CALL    ["eyJ0eXAi…"]
    RESULT  [{"expires_at": 1741878120.123}]

The ticket must be of the same user and role. One that ends earlier changes nothing. The session has from then
on the rooms and the end of the ticket, and what it may not have any more is revoked; all sessions of the user
have its groups (credentials.py).
"""

from dataclasses import replace

from tuleaprt.errors import TicketError, TokenInvalid
from tuleaprt.wamp.auth import Authenticator
from tuleaprt.wamp.calls import Arguments, Result, a_text
from tuleaprt.wamp.realm import Member, Realm

REFRESH = "org.tuleap.session.refresh"


def refresh(
    realm: Realm, authenticator: Authenticator, caller: Member, arguments: Arguments, now: float
) -> Result:
    """
    Raises:
        TokenInvalid: the ticket is not good, or not this user's in this role; nothing has changed.
        InvalidArgument
    """
    ticket = arguments.next("ticket", a_text)
    arguments.done()
    try:
        identity = authenticator.authenticate(ticket, now)
    except TicketError:
        raise TokenInvalid("this ticket is not good") from None
    former = caller.identity
    if (identity.user_id, identity.role) != (former.user_id, former.role):
        raise TokenInvalid("this is the ticket of somebody else, or of another role")
    if identity.exp >= former.exp:
        longer = max(identity.expires_at, former.expires_at)
        realm.show(caller, replace(identity, expires_at=longer), now)
    return Result(args=[{"expires_at": caller.identity.expires_at}])
