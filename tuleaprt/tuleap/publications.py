"""From a message to what is published of it.

::

    EVENT kwargs = {"cmd": <the command, verbatim>, "data": <the data, unchanged>}
"""

from collections.abc import Callable

from tuleaprt.tuleap.message import Message
from tuleaprt.wamp.publication import Audience, Kwargs, Publication, Window

PRESENCE = "testmanagement_user:presence"


def publications_for(
    message: Message, new_id: Callable[[int], int], audience: Audience | None = None
) -> tuple[Publication, ...]:
    """The publications of a message, in their order; ``new_id`` gives the id of each by its index.

    ``audience`` is whom an operator wanted to reach.

    A presence message is never passed on as it was posted: pages ignore that shape, and it would name a
    viewer to people who may not see where he was (contract 4.6, BUG-8). It takes its place without payload.
    """
    rights = message.rights
    kwargs: Kwargs | None = {"cmd": message.cmd, "data": message.data_json}
    if message.cmd == PRESENCE:
        kwargs = None

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return kwargs if rights.admit(groups, user_id) else None

    return (
        Publication(
            id=new_id(0),
            topic=message.topic,
            kwargs=kwargs,
            view=view,
            submitters=frozenset() if rights.submitter_id is None else frozenset({rights.submitter_id}),
            sender=None
            if message.sender_uuid is None
            else Window(message.sender_user_id, message.sender_uuid),
            audience=audience,
            size=message.size + (audience.weight if audience else 0),
        ),
    )
