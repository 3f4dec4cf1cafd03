"""Turns an input into publications.

::

    EVENT kwargs = {"cmd": <the command, verbatim>, "data": <the data, unchanged>}

Messages that the server makes itself are in announcements.py. The same inputs in the same order give the
same publications on every node.
"""

from collections.abc import Callable, Iterator
from functools import partial

from tuleaprt.tuleap import inputs
from tuleaprt.tuleap.announcements import Draft, departed, podium_changed, presence_changed, submitters
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Viewing
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.presence import Departure, PresenceChange
from tuleaprt.tuleap.rights import Executions, Rights
from tuleaprt.wamp.publication import Audience, Kwargs, Publication


def publications_for(
    input: inputs.Input, at: float, campaigns: Campaigns, new_id: Callable[[int], int]
) -> tuple[Publication, ...]:
    """The publications of an input, in order, and their effects on the campaigns. ``at`` is in seconds since
    the epoch.

    ``new_id`` returns the id of each publication from its index. The message itself always has the index
    0.
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
            campaign = campaigns.campaign(topic, at)
            before = campaign.ledger.podium
            campaigns.seed(campaign, results, users)
            yield podium_changed(campaign, before, campaigns)
        case inputs.WindowSeen(window=window, session=session, node=node):
            presence.seen(window, session, node)
        case inputs.WindowLost(window=window, session=session):
            presence.lost(window, session, at)
        case inputs.WindowUnsubscribed(window=window, topic=topic):
            ends = campaigns.unsubscribed(window, topic, at)
        case inputs.GraceEnded(window=window, since=since):
            ends = campaigns.grace_ended(window, since, at)
    for end in ends:
        yield departed(end, campaigns) if isinstance(end, Departure) else presence_changed(end, campaigns)


def _of_message(
    message: Message, audience: Audience | None, at: float, campaigns: Campaigns
) -> Iterator[Draft]:
    command = message.command
    if command is None:
        yield _verbatim(message, audience, message.rights.admit)
        return
    campaign = campaigns.campaign(message.topic, at)
    before = campaign.ledger.podium
    changes = campaigns.apply(command, message.rights, campaign, at)
    if not isinstance(command, Viewing):
        yield _naming(command.execution, message, audience, campaigns.executions)
    elif not changes:
        yield partial(Publication, topic=message.topic, kwargs=None, view=_nobody)
    for change in changes:
        yield presence_changed(change, campaigns, message.sender)
    if campaign.ledger.podium is not before:
        yield podium_changed(campaign, before, campaigns)


def _naming(execution: int, message: Message, audience: Audience | None, executions: Executions) -> Draft:
    """A message for users that its rights admit and that may see the execution which it names.

    Both are needed, because the rights of ``link_artifact`` are the bug's. The rights of the execution
    are read when the view is asked, so the event history obeys the newest rights.
    """
    topic, rights = message.topic, message.rights

    def admit(groups: frozenset[str], user_id: int | None) -> bool:
        return rights.admit(groups, user_id) and executions.admit(topic, execution, groups, user_id)

    return _verbatim(message, audience, admit, executions.rights_of(topic, execution))


def _verbatim(
    message: Message,
    audience: Audience | None,
    admit: Callable[[frozenset[str], int | None], bool],
    execution_rights: Rights | None = None,
) -> Draft:
    """A message as it was posted, for users that ``admit`` admits."""
    kwargs: Kwargs = {"cmd": message.cmd, "data": message.data_json}

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return kwargs if admit(groups, user_id) else None

    return partial(
        Publication,
        topic=message.topic,
        kwargs=kwargs,
        view=view,
        submitters=submitters(message.rights, execution_rights),
        sender=message.sender,
        audience=audience,
        size=message.size + (audience.weight if audience else 0),
    )


def _nobody(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
    return None
