"""A realm: its sessions, its subscriptions, its history, and the one place that publications pass through."""

from collections.abc import Callable
from typing import Protocol

from tuleaprt.errors import InvalidUri, LimitExceeded, NoSuchSubscription, NotAuthorized
from tuleaprt.wamp.auth import Identity, Policy, Role
from tuleaprt.wamp.broker import Broker, Dispatch
from tuleaprt.wamp.history import History
from tuleaprt.wamp.identifiers import Match, is_pattern
from tuleaprt.wamp.meta import Described, MetaEvents
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Publication, Window
from tuleaprt.wamp.subscriptions import Subscription

Audit = Callable[[int, Identity, str, str], None]
"""Notes what an operator did: session, who he is, the deed, and to what."""


class Member(Described, Protocol):
    """A session as its realm sees it."""

    subscriptions: set[int]

    def dismiss(self, end: End, reason: str, message: str | None, now: float) -> None:
        """Leave the realm, and tell the client by GOODBYE."""

    def revoked(self, subscription: int, reason: str) -> None:
        """Tell the client that this subscription is no more."""

    def assume(self, identity: Identity) -> None:
        """Be who a newer ticket says."""


class Realm:
    """Synchronous: whatever one call does is done before the next one begins."""

    def __init__(
        self,
        name: str,
        *,
        policy: Policy,
        history: History,
        new_id: Callable[[], int],
        deliver: Callable[[Dispatch], None],
        audit: Audit,
        max_subscriptions: int,
    ) -> None:
        self.name = name
        self.policy = policy
        self.history = history
        self.sessions: dict[int, Member] = {}
        self.broker = Broker()
        self.meta = MetaEvents(self.broker, deliver, new_id)
        self._windows: dict[Window, Member] = {}
        self._new_id = new_id
        self._deliver = deliver
        self._audit = audit
        self._max_subscriptions = max_subscriptions

    def join(self, session: Member, now: float) -> None:
        """Take the session in and give it an id that no other has; it replaces that of the same window."""
        window = _window_of(session)
        if window is not None and (former := self._windows.get(window)) is not None:
            former.dismiss(
                End.REPLACED, "org.tuleap.close.replaced", "this window has opened another session", now
            )
        session.id = self._new_id()
        while session.id in self.sessions:
            session.id = self._new_id()
        self.sessions[session.id] = session
        if window is not None:
            self._windows[window] = session
        self.meta.joined(session)

    def leave(self, session: Member) -> None:
        """Forget the session and its subscriptions; harmless when it is not here."""
        if self.sessions.get(session.id) is not session:
            return
        del self.sessions[session.id]
        window = _window_of(session)
        if window is not None and self._windows.get(window) is session:
            del self._windows[window]
        for id in list(session.subscriptions):
            self._remove(session, self.subscription_of(session, id))
        self.meta.left(session)

    def subscribe(
        self, session: Member, topic: str, match: Match, now: float, confirm: Callable[[int], None]
    ) -> None:
        """``confirm`` is given the subscription's id before anything can be sent of it.

        Raises:
            InvalidUri, NotAuthorized, LimitExceeded.
        """
        if not is_pattern(topic, match):
            raise InvalidUri(f"the topic is not a URI for {match} matching")
        if not self.policy.may_subscribe(session.identity, topic, match):
            raise NotAuthorized("this session may not subscribe to this topic")
        subscriptions = self.broker.subscriptions
        known = subscriptions.lookup(topic, match)
        if known is not None and known.id in session.subscriptions:
            confirm(known.id)
            return
        if len(session.subscriptions) >= self._max_subscriptions:
            raise LimitExceeded(f"a session has at most {self._max_subscriptions} subscriptions")
        subscription = subscriptions.add(topic, match, session, now)
        session.subscriptions.add(subscription.id)
        self.audit(session, "subscribe", f"{match} {topic}")
        confirm(subscription.id)
        # Who does not read his answers has just been cut off.
        if subscription.id in session.subscriptions:
            self.meta.subscribed(session, subscription, is_new=known is None)

    def unsubscribe(self, session: Member, id: int) -> None:
        """
        Raises:
            NoSuchSubscription: unknown, or not this session's.
        """
        self._remove(session, self.subscription_of(session, id))

    def subscription_of(self, session: Member, id: int) -> Subscription:
        """
        Raises:
            NoSuchSubscription: unknown, or not this session's; which of the two is not said.
        """
        subscription = self.broker.subscriptions.get(id)
        if subscription is None or id not in session.subscriptions:
            raise NoSuchSubscription("this session has no such subscription")
        return subscription

    def revoke_what_is_lost(self, session: Member) -> None:
        """End the subscriptions that the policy does not allow any more (WAMP: Subscription Revocation)."""
        for id in list(session.subscriptions):
            subscription = self.subscription_of(session, id)
            if not self.policy.may_subscribe(session.identity, subscription.topic, subscription.match):
                self._remove(session, subscription)
                session.revoked(id, "wamp.error.not_authorized")

    def publish(self, publication: Publication, at: float) -> None:
        """Give it its place in the history and send it on its way; ``at`` is when it was accepted."""
        self.history.append(publication, at)
        for dispatch in self.broker.dispatch(publication):
            self._deliver(dispatch)

    def audit(self, session: Member, deed: str, what: str) -> None:
        """Note it if it is an operator's."""
        if session.identity.role is Role.OPERATOR:
            self._audit(session.id, session.identity, deed, what)

    def _remove(self, session: Member, subscription: Subscription) -> None:
        self.broker.subscriptions.remove(subscription.id, session)
        session.subscriptions.discard(subscription.id)
        self.meta.unsubscribed(session, subscription)


def _window_of(session: Member) -> Window | None:
    """The window that a user's session speaks for; an operator's means nothing to anybody."""
    if session.window is None or session.identity.role is not Role.USER:
        return None
    return Window(session.identity.user_id, session.window)
