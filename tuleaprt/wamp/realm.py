"""A realm: its sessions, subscriptions and event history, and the one place that all publications pass."""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace
from typing import Protocol, TypeVar

from tuleaprt.errors import InvalidUri, LimitExceeded, NoSuchSubscription, NotAuthorized
from tuleaprt.wamp.auth import Credentials, Identity, Policy, Role
from tuleaprt.wamp.broker import Broker, Dispatch, Subscription
from tuleaprt.wamp.history import History
from tuleaprt.wamp.identifiers import Match, is_pattern
from tuleaprt.wamp.meta import Described, MetaEvents
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Publication, Window


class Present(Protocol):
    """A session, to the table of all. Its user, role and window do not change while it is in the table."""

    id: int

    @property
    def identity(self) -> Identity: ...

    @property
    def window(self) -> str | None: ...


S = TypeVar("S", bound=Present)


def window_of(session: Present) -> Window | None:
    """The window of a user's session; None for operators, whose windows do not count."""
    if session.window is None or session.identity.role is not Role.USER:
        return None
    return Window(session.identity.user_id, session.window)


class Sessions(dict[int, S]):
    """The sessions by id; ``users`` by user and id; ``windows`` by window: the session that joined last
    counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, dict[int, S]] = {}
        self.windows: dict[Window, S] = {}

    def enter(self, session: S) -> None:
        self[session.id] = session
        self.users.setdefault(session.identity.user_id, {})[session.id] = session
        if (window := window_of(session)) is not None:
            self.windows[window] = session

    def leave(self, session: S) -> bool:
        """Remove the session, and return whether it was in the table."""
        if self.get(session.id) is not session:
            return False
        del self[session.id]
        user = session.identity.user_id
        of_user = self.users[user]
        del of_user[session.id]
        if not of_user:
            del self.users[user]
        window = window_of(session)
        if window is not None and self.windows.get(window) is session:
            del self.windows[window]
        return True

    def of_user(self, user_id: int) -> Collection[S]:
        """A copy of the user's sessions in all roles."""
        return tuple(self.users.get(user_id, {}).values())


Audit = Callable[[int, Identity, str, str], None]
"""Logs what an operator did: session id, identity, action, object of the action."""


class Member(Described, Protocol):
    """A session, to its realm."""

    subscriptions: set[int]

    def dismiss(self, end: End, reason: str, message: str | None, now: float) -> None:
        """Leave the realm, and send GOODBYE."""

    def revoked(self, subscription: int, reason: str) -> None:
        """Tell the client that the session has lost this subscription."""

    def assume(self, identity: Identity) -> None:
        """Take over the identity from the user's newest token."""


class Observer(Protocol):
    """Is told when the windows of users gain and lose their sessions."""

    def joined(self, window: Window, session: int) -> None: ...

    def left(self, window: Window, session: int) -> None:
        """The session has ended, and all its subscriptions with it."""

    def unsubscribed(self, window: Window, topic: str) -> None:
        """The client has unsubscribed, or the session has lost the right to the topic."""

    def groups_shown(self, user_id: int, exp: float, groups: frozenset[str]) -> None:
        """The user's newest token, which ends at ``exp``, shows other groups than before."""

    def killed(self, authid: str | None, authrole: str | None, reason: str, message: str | None) -> None:
        """An operator has killed all sessions with this authid or authrole; both None: all sessions."""


class Realm:
    """Synchronous: each call is complete before the next one begins."""

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
        max_sessions_per_user: int,
    ) -> None:
        self.name = name
        self.policy = policy
        self.history = history
        self.sessions = Sessions[Member]()
        self.broker = Broker()
        self.meta = MetaEvents(self.broker, deliver, new_id)
        self.credentials = Credentials()
        self._observers: list[Observer] = []
        self._new_id = new_id
        self._deliver = deliver
        self._audit = audit
        self.max_subscriptions = max_subscriptions
        self.max_sessions_per_user = max_sessions_per_user

    def observe(self, observer: Observer) -> None:
        """Add an observer."""
        self._observers.append(observer)

    def join(self, session: Member, now: float) -> None:
        """Add the session and give it a unique id. It replaces the former session of the same window.

        Raises:
            LimitExceeded: the user has too many sessions. The limit does not hold for anonymous operators.
        """
        window = window_of(session)
        if window is not None and (former := self.sessions.windows.get(window)) is not None:
            self._replace(former, now)
        user = session.identity.user_id
        if user and len(self.sessions.users.get(user, ())) >= self.max_sessions_per_user:
            raise LimitExceeded(f"a user has at most {self.max_sessions_per_user} sessions")
        session.id = self._new_id()
        while session.id in self.sessions:
            session.id = self._new_id()
        self.sessions.enter(session)
        self.show(session, session.identity, now)
        if window is not None:
            for observer in self._observers:
                observer.joined(window, session.id)
        self.meta.joined(session)

    def show(self, session: Member, identity: Identity, now: float) -> None:
        """The session has shown a token. All sessions of the user get the newest groups."""
        before = self.credentials.groups_of(identity.user_id)
        groups = self.credentials.show(identity, now)
        session.assume(replace(identity, groups=groups))
        if identity.role is not Role.USER or groups == before:
            return
        for observer in self._observers:
            observer.groups_shown(identity.user_id, identity.exp, groups)
        self._assume(identity.user_id, groups, but=session)

    def learn(self, user_id: int, exp: float, groups: frozenset[str]) -> None:
        """The user has shown this token at another node. All sessions of the user get the newest groups.

        If a newer one was shown here, whose groups were not news here, the other nodes are told.
        """
        before = self.credentials.newest(user_id)
        if self.credentials.learn(user_id, exp, groups):
            if before is None or before[1] != groups:
                self._assume(user_id, groups)
        elif before is not None and before[1] != groups:
            for observer in self._observers:
                observer.groups_shown(user_id, *before)

    def leave(self, session: Member) -> None:
        """Remove the session and its subscriptions. Nothing happens if it is not in the realm."""
        if not self.sessions.leave(session):
            return
        for id in list(session.subscriptions):
            self._remove(session, self.subscription_of(session, id))
        self.meta.left(session)
        if (window := window_of(session)) is not None:
            for observer in self._observers:
                observer.left(window, session.id)

    def _assume(self, user_id: int, groups: frozenset[str], but: Member | None = None) -> None:
        for session in self.sessions.of_user(user_id):
            is_meant = session is not but and session.identity.role is Role.USER
            if is_meant and session.id in self.sessions:
                session.assume(replace(session.identity, groups=groups))

    def replaced(self, window: Window, id: int, now: float) -> None:
        """The window has opened another session elsewhere. The session with this id ends, if it is here."""
        session = self.sessions.windows.get(window)
        if session is not None and session.id == id:
            self._replace(session, now)

    def _replace(self, former: Member, now: float) -> None:
        former.dismiss(
            End.REPLACED, "org.tuleap.close.replaced", "this window has opened another session", now
        )

    def kill(
        self,
        authid: str | None,
        authrole: str | None,
        reason: str,
        message: str | None,
        now: float,
        *,
        but: Member | None = None,
    ) -> list[int]:
        """End the sessions with this authid or authrole, but one; both None: all, without meta events.
        Returns their ids.
        """
        found = [
            it
            for it in self.sessions.values()
            if it is not but
            and authid in (None, it.identity.authid)
            and authrole in (None, it.identity.role.value)
        ]
        ids = [it.id for it in found]
        with self.meta.silence() if authid is None and authrole is None else nullcontext():
            for session in found:
                session.dismiss(End.KILLED, reason, message, now)
        return ids

    def kill_everywhere(
        self,
        authid: str | None,
        authrole: str | None,
        reason: str,
        message: str | None,
        now: float,
        *,
        but: Member,
    ) -> list[int]:
        """The same at all nodes. Returns the ids of the sessions here."""
        ids = self.kill(authid, authrole, reason, message, now, but=but)
        for observer in self._observers:
            observer.killed(authid, authrole, reason, message)
        return ids

    def revoke(self, user_id: int, now: float) -> None:
        """End all sessions of a user whose tokens have been revoked."""
        self.credentials.forget(user_id)
        for session in self.sessions.of_user(user_id):
            session.dismiss(End.REVOKED, "org.tuleap.close.revoked", "the token has been revoked", now)

    def subscribe(
        self, session: Member, topic: str, match: Match, now: float, confirm: Callable[[int], None]
    ) -> None:
        """Subscribe. ``confirm`` gets the subscription's id before any event of it is sent.

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
        if len(session.subscriptions) >= self.max_subscriptions:
            raise LimitExceeded(f"a session has at most {self.max_subscriptions} subscriptions")
        subscription = subscriptions.add(topic, match, session, now)
        session.subscriptions.add(subscription.id)
        self.audit(session, "subscribe", f"{match} {topic}")
        confirm(subscription.id)
        # The session has just ended if its outbound queue was full.
        if subscription.id in session.subscriptions:
            self.meta.subscribed(session, subscription, is_new=known is None)

    def unsubscribe(self, session: Member, id: int) -> None:
        """
        Raises:
            NoSuchSubscription: the id is unknown, or another session's.
        """
        self._give_up(session, self.subscription_of(session, id))

    def subscription_of(self, session: Member, id: int) -> Subscription:
        """
        Raises:
            NoSuchSubscription: the id is unknown, or another session's; the error does not say which.
        """
        subscription = self.broker.subscriptions.get(id)
        if subscription is None or id not in session.subscriptions:
            raise NoSuchSubscription("this session has no such subscription")
        return subscription

    def revoke_what_is_lost(self, session: Member) -> None:
        """End the subscriptions that the policy does not allow any more (WAMP: Subscription Revocation)."""
        for id in list(session.subscriptions):
            if id not in session.subscriptions:
                return  # The session has just ended because its outbound queue was full.
            subscription = self.subscription_of(session, id)
            if not self.policy.may_subscribe(session.identity, subscription.topic, subscription.match):
                self._give_up(session, subscription)
                session.revoked(id, "wamp.error.not_authorized")

    def publish(self, publication: Publication, at: float) -> None:
        """Append the publication to the event history and send it. ``at`` is the time of the journal's
        record.
        """
        self.history.append(publication, at)
        for dispatch in self.broker.dispatch(publication):
            self._deliver(dispatch)

    def audit(self, session: Member, deed: str, what: str) -> None:
        """Log the action if the session is an operator's."""
        if session.identity.role is Role.OPERATOR:
            self._audit(session.id, session.identity, deed, what)

    def _give_up(self, session: Member, subscription: Subscription) -> None:
        self._remove(session, subscription)
        if (window := window_of(session)) is not None:
            for observer in self._observers:
                observer.unsubscribed(window, subscription.topic)

    def _remove(self, session: Member, subscription: Subscription) -> None:
        self.broker.subscriptions.remove(subscription.id, session)
        session.subscriptions.discard(subscription.id)
        self.meta.unsubscribed(session, subscription)
