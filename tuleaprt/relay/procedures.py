"""The procedures about a campaign: its viewers and its podium.

::

    org.tuleap.testmanagement.presences  [9]  →  {"39": [{"id": 101, …, "uuid": "7b1c8d2e-…"}, …], …}
    org.tuleap.testmanagement.podium     [9]  →  [{"user": {"id": 101, …}, "score": 3, "rank": 1}, …]

The argument is the id of the campaign, a number or its text. The caller must be allowed to subscribe to
the campaign, and receives what it may see.
"""

from collections.abc import Mapping
from functools import partial

from tuleaprt.errors import InvalidArgument, NotAuthorized
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.topics import campaign_topic, parse_id
from tuleaprt.wamp.auth import Policy
from tuleaprt.wamp.calls import Arguments, Procedure, Result
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.realm import Member

PRESENCES = "org.tuleap.testmanagement.presences"
PODIUM = "org.tuleap.testmanagement.podium"

ENTRIES_PER_CALL = 100
"""This many users in an answer count as one more call for the rate limit."""


def campaign_procedures(campaigns: Campaigns, policy: Policy) -> Mapping[str, Procedure]:
    return {
        PRESENCES: partial(presences, campaigns, policy),
        PODIUM: partial(podium, campaigns, policy),
    }


def presences(
    campaigns: Campaigns, policy: Policy, caller: Member, arguments: Arguments, now: float
) -> Result:
    """
    Raises:
        InvalidArgument, NotAuthorized.
    """
    seen = campaigns.presences(_topic(policy, caller, arguments), caller.identity)
    return Result(
        args=[{str(execution): viewers for execution, viewers in seen.items()}],
        cost=sum(map(len, seen.values())) // ENTRIES_PER_CALL,
    )


def podium(campaigns: Campaigns, policy: Policy, caller: Member, arguments: Arguments, now: float) -> Result:
    """
    Raises:
        InvalidArgument, NotAuthorized.
    """
    standings = campaigns.podium(_topic(policy, caller, arguments), caller.identity)
    return Result(args=[standings], cost=len(standings) // ENTRIES_PER_CALL)


def _topic(policy: Policy, caller: Member, arguments: Arguments) -> str:
    topic = campaign_topic(arguments.next("campaign_id", _an_id))
    arguments.done()
    if not policy.may_subscribe(caller.identity, topic, Match.EXACT):
        raise NotAuthorized("this session may not subscribe to this campaign")
    return topic


def _an_id(name: str, value: object) -> int:
    id = parse_id(value) if isinstance(value, int | str) else None
    if id is None:
        raise InvalidArgument(f"{name} must be a whole number, from 1, or its text")
    return id
