"""From an input to what is published of it.

::

    EVENT kwargs = {"cmd": <the command, verbatim>, "data": <the data, unchanged>}

What has data of the server's own is in announcements.py. The same inputs in the same order give the same
publications on every node.
"""

from collections.abc import Callable, Iterator
from functools import partial

from tuleaprt.tuleap import inputs
from tuleaprt.tuleap.announcements import Draft, departed, podium_changed, presence_changed, submitters
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Viewing
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.presence import Departure, PresenceChange
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.publication import Audience, Kwargs, Publication


def publications_for(
    input: inputs.Input, at: float, campaigns: Campaigns, new_id: Callable[[int], int]
) -> tuple[Publication, ...]:
    """What is published, in order, of an input of this time (seconds); the campaigns take note of it.

    ``new_id`` gives the id of each by its index. A message has the index 0, whatever comes of it.
    """
    return tuple(draft(id=new_id(index)) for index, draft in enumerate(_drafts(input, at, campaigns)))


def _drafts(input: inputs.Input, at: float, campaigns: Campaigns) -> Iterator[Draft]:
    presence = campaigns.presence
    ends: list[PresenceChange | Departure] = []
    match input:
        case inputs.Post(message=message):
            yield from _of_message(message, None, at, campaigns)
        case inputs.OperatorPublish(message=message, audience=audience):
            yield from _of_message(message, audience, at, campaigns)
        case inputs.CampaignSeeded(topic=topic, results=results, users=users):
            ledger = campaigns.campaign(topic, at).ledger
            before = ledger.podium
            ledger.replace(results, users)
            yield podium_changed(topic, before, ledger.podium)
        case inputs.WindowSeen(window=window, session=session):
            presence.seen(window, session)
        case inputs.WindowLost(window=window, session=session):
            presence.lost(window, session, at)
        case inputs.WindowUnsubscribed(window=window, topic=topic):
            ends = presence.unsubscribed(window, topic)
        case inputs.GraceEnded(window=window, since=since):
            ends = presence.grace_ended(window, since)
    for end in ends:
        yield departed(end, campaigns) if isinstance(end, Departure) else presence_changed(end, campaigns)


def _of_message(
    message: Message, audience: Audience | None, at: float, campaigns: Campaigns
) -> Iterator[Draft]:
    command = message.command
    if command is None:
        yield _verbatim(message, audience, lambda: message.rights)
        return
    campaign = campaigns.campaign(message.topic, at)
    before = campaign.ledger.podium
    changes = campaigns.apply(command, message.rights, campaign, at)
    if not isinstance(command, Viewing):
        yield _verbatim(message, audience, partial(campaigns.rights_of, message.topic, command.execution))
    elif not changes:
        yield partial(Publication, topic=message.topic, kwargs=None, view=_nobody)
    for change in changes:
        yield presence_changed(change, campaigns, message.sender)
    if campaign.ledger.podium is not before:
        yield podium_changed(message.topic, before, campaign.ledger.podium)


def _verbatim(
    message: Message, audience: Audience | None, newest_rights: Callable[[], Rights | None]
) -> Draft:
    """A message as it was posted, for those who have its rights, and those of its execution if it names one.

    Those of the execution, None if they are unknown, are looked up when the view is asked: they are others
    than the message's when it speaks of a bug, and when the history tells it after they have changed.
    """
    kwargs: Kwargs = {"cmd": message.cmd, "data": message.data_json}
    rights = message.rights

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        if not rights.admit(groups, user_id):
            return None
        newest = newest_rights()
        is_seen = newest is None or newest is rights or newest.admit(groups, user_id)
        return kwargs if is_seen else None

    return partial(
        Publication,
        topic=message.topic,
        kwargs=kwargs,
        view=view,
        submitters=submitters(rights, newest_rights()),
        sender=message.sender,
        audience=audience,
        size=message.size + (audience.weight if audience else 0),
    )


def _nobody(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
    return None
