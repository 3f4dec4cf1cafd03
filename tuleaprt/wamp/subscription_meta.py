"""The subscription meta API: who listens to what (WAMP: Subscription Meta API).

===================================== ===================== =====================================
wamp.subscription.list                                      {"exact", "prefix", "wildcard"}: ids
wamp.subscription.lookup              topic, {"match"}?     id or null
wamp.subscription.match               topic                 ids or null
wamp.subscription.get                 subscription          ``meta.subscription_details``
wamp.subscription.list_subscribers    subscription          session ids
wamp.subscription.count_subscribers   subscription          how many
===================================== ===================== =====================================
"""

from typing import Any

from tuleaprt.errors import InvalidArgument, InvalidUri, NoSuchSubscription
from tuleaprt.wamp.calls import Arguments, Procedure, Result, a_text, a_uri, an_id
from tuleaprt.wamp.identifiers import Match, is_pattern
from tuleaprt.wamp.meta import subscription_details
from tuleaprt.wamp.realm import Member, Realm
from tuleaprt.wamp.subscriptions import Subscription, SubscriptionMap


def subscription_procedures(realm: Realm) -> dict[str, Procedure]:
    api = _SubscriptionApi(realm.broker.subscriptions)
    return {
        "wamp.subscription.list": api.list,
        "wamp.subscription.lookup": api.lookup,
        "wamp.subscription.match": api.match,
        "wamp.subscription.get": api.get,
        "wamp.subscription.list_subscribers": api.list_subscribers,
        "wamp.subscription.count_subscribers": api.count_subscribers,
    }


class _SubscriptionApi:
    def __init__(self, subscriptions: SubscriptionMap) -> None:
        self._subscriptions = subscriptions

    def list(self, caller: Member, arguments: Arguments, now: float) -> Result:
        arguments.done()
        ids: dict[str, list[int]] = {match.value: [] for match in Match}
        for subscription in self._subscriptions:
            ids[subscription.match].append(subscription.id)
        return Result(args=[ids])

    def lookup(self, caller: Member, arguments: Arguments, now: float) -> Result:
        topic = arguments.next("topic", a_text)
        match = _match(arguments.next_if_any("options", _options) or {})
        arguments.done()
        if not is_pattern(topic, match):
            raise InvalidUri(f"the topic is not a URI for {match} matching")
        found = self._subscriptions.lookup(topic, match)
        return Result(args=[found and found.id])

    def match(self, caller: Member, arguments: Arguments, now: float) -> Result:
        topic = arguments.next("topic", a_uri)
        arguments.done()
        return Result(args=[[it.id for it in self._subscriptions.match(topic)] or None])

    def get(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[subscription_details(self._subscription(arguments))])

    def list_subscribers(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[[it.id for it in self._subscription(arguments).subscribers]])

    def count_subscribers(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[len(self._subscription(arguments).subscribers)])

    def _subscription(self, arguments: Arguments) -> Subscription:
        subscription = self._subscriptions.get(arguments.next("subscription", an_id))
        arguments.done()
        if subscription is None:
            raise NoSuchSubscription("there is no such subscription")
        return subscription


def _options(name: str, value: object) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise InvalidArgument(f"{name} must be an object")
    return value


def _match(options: dict[Any, Any]) -> Match:
    match = options.get("match")
    try:
        return Match.EXACT if match is None else Match(match)
    except ValueError:
        raise InvalidArgument("match must be exact, prefix or wildcard") from None
