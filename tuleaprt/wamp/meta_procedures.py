"""The procedures of the Session Meta API and the Subscription Meta API (WAMP).

===================================== ========================== ===================================
wamp.session.count                    [authroles]?               number of sessions
wamp.session.list                     [authroles]?               session ids
wamp.session.get                      session                    ``meta.session_details``
wamp.session.kill                     session; reason, message
wamp.session.kill_by_authid           authid; reason, message    ids of the killed sessions
wamp.session.kill_by_authrole         authrole; reason, message  number of killed sessions
wamp.session.kill_all                 ; reason, message          number of killed sessions
wamp.subscription.list                                           {"exact", "prefix", "wildcard"}: ids
wamp.subscription.lookup              topic, {"match"}?          id or null
wamp.subscription.match               topic                      ids or null
wamp.subscription.get                 subscription               ``meta.subscription_details``
wamp.subscription.list_subscribers    subscription               session ids
wamp.subscription.count_subscribers   subscription               number of subscribers
===================================== ========================== ===================================

A killed session receives GOODBYE. No procedure kills the session of its caller.

Where several nodes serve a realm, each procedure answers for the sessions and subscriptions of its own node.
The last three that kill also end the sessions of the other nodes, and answer for their own.
"""

from collections.abc import Sequence
from typing import Any

from tuleaprt.errors import InvalidArgument, InvalidUri, NoSuchSession, NoSuchSubscription
from tuleaprt.wamp.broker import Subscription, SubscriptionMap
from tuleaprt.wamp.calls import Arguments, Procedure, Result, a_short_text, a_text, a_uri, an_id, texts
from tuleaprt.wamp.identifiers import Match, is_pattern
from tuleaprt.wamp.meta import session_details, subscription_details
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.realm import Member, Realm

KILLED = "wamp.close.killed"


def session_procedures(realm: Realm) -> dict[str, Procedure]:
    api = _SessionApi(realm)
    return {
        "wamp.session.count": api.count,
        "wamp.session.list": api.list,
        "wamp.session.get": api.get,
        "wamp.session.kill": api.kill,
        "wamp.session.kill_by_authid": api.kill_by_authid,
        "wamp.session.kill_by_authrole": api.kill_by_authrole,
        "wamp.session.kill_all": api.kill_all,
    }


class _SessionApi:
    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    def count(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[len(self._of_roles(arguments))])

    def list(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[self._of_roles(arguments)])

    def get(self, caller: Member, arguments: Arguments, now: float) -> Result:
        session = self._session(arguments)
        arguments.done()
        return Result(args=[session_details(session)])

    def kill(self, caller: Member, arguments: Arguments, now: float) -> Result:
        session = self._session(arguments)
        reason, message = _why(arguments)
        if session is caller:
            raise NoSuchSession("a session cannot kill itself")
        self._realm.audit(caller, "kill", f"{session.id}: 1 ended")
        session.dismiss(End.KILLED, reason, message, now)
        return Result()

    def kill_by_authid(self, caller: Member, arguments: Arguments, now: float) -> Result:
        authid = arguments.next("authid", a_text)
        return Result(args=[self._kill(caller, arguments, now, authid=authid)])

    def kill_by_authrole(self, caller: Member, arguments: Arguments, now: float) -> Result:
        role = arguments.next("authrole", a_text)
        return Result(args=[len(self._kill(caller, arguments, now, authrole=role))])

    def kill_all(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[len(self._kill(caller, arguments, now))])

    def _of_roles(self, arguments: Arguments) -> Sequence[int]:
        roles = arguments.next_if_any("authroles", texts)
        arguments.done()
        return [
            id
            for id, session in self._realm.sessions.items()
            if roles is None or session.identity.role in roles
        ]

    def _session(self, arguments: Arguments) -> Member:
        session = self._realm.sessions.get(arguments.next("session", an_id))
        if session is None:
            raise NoSuchSession("there is no such session")
        return session

    def _kill(
        self,
        caller: Member,
        arguments: Arguments,
        now: float,
        *,
        authid: str | None = None,
        authrole: str | None = None,
    ) -> Sequence[int]:
        reason, message = _why(arguments)
        killed = self._realm.kill_everywhere(authid, authrole, reason, message, now, but=caller)
        named = [f"authid {authid}"] * (authid is not None) + [f"authrole {authrole}"] * (
            authrole is not None
        )
        self._realm.audit(caller, "kill", f"{' '.join(named) or 'all'}: {len(killed)} ended")
        return killed


def _why(arguments: Arguments) -> tuple[str, str | None]:
    """The reason and the message of a kill."""
    reason = arguments.keyword("reason", a_uri) or KILLED
    message = arguments.keyword("message", a_short_text)
    arguments.done()
    return reason, message


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
