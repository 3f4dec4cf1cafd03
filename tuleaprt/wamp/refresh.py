"""``org.tuleap.session.refresh``: a session shows a newer ticket, and goes on.

::

    CALL    ["eyJ0eXAi…"]
    RESULT  [{"expires_at": 1741878120.123}]

The ticket must be of the same user and role. One that ends earlier changes nothing. The session is from then
on what the ticket says: its groups, its rooms, its end; what it may not have any more is revoked.
"""

from tuleaprt.errors import TicketError, TokenInvalid
from tuleaprt.wamp.auth import Authenticator
from tuleaprt.wamp.calls import Arguments, Result, a_text
from tuleaprt.wamp.realm import Member

REFRESH = "org.tuleap.session.refresh"


def refresh(authenticator: Authenticator, caller: Member, arguments: Arguments, now: float) -> Result:
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
    if identity.expires_at >= former.expires_at:
        caller.assume(identity)
    return Result(args=[{"expires_at": caller.identity.expires_at}])
