"""What operators do, a line each."""

from twisted.logger import Logger

from tuleaprt.wamp.auth import Identity

LONGEST = 200

log = Logger()


def audit(session: int | None, identity: Identity, deed: str, what: str) -> None:
    """Note that this operator did this to that, of which a topic may be as long as a message.

    ``session`` is None for what was asked by HTTP.
    """
    log.info(
        "audit: operator {user} session={session} {deed} {what!r}",
        event="audit",
        user=identity.authid,
        session=session or "-",
        deed=deed,
        what=what[:LONGEST],
    )
