"""What operators do, a line each."""

from twisted.logger import Logger

from tuleaprt.wamp.auth import Identity

LONGEST = 200

log = Logger()


def audit(session: int, identity: Identity, deed: str, what: str) -> None:
    """Note that this operator did this to that, of which a topic may be as long as a message."""
    log.info(
        "audit: operator {user} session={session} {deed} {what!r}",
        user=identity.authid,
        session=session,
        deed=deed,
        what=what[:LONGEST],
    )
