"""The requests of a joined session. Each raises a RequestError that is answered by ERROR."""

from collections.abc import Callable
from typing import Any, Protocol

from autobahn.wamp import message as wamp

from tuleaprt import errors
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.identifiers import Match, uri_of
from tuleaprt.wamp.outlet import Outlet
from tuleaprt.wamp.publication import Audience
from tuleaprt.wamp.realm import Member
from tuleaprt.wamp.router import Router


class Asking(Member, Protocol):
    """A session, to its requests."""

    router: Router

    @property
    def outlet(self) -> Outlet: ...

    @property
    def is_joined(self) -> bool: ...

    def charge(self, cost: float) -> None: ...


def subscribe(session: Asking, message: wamp.Subscribe, now: float) -> None:
    def confirm(subscription: int) -> None:
        session.outlet.send(wamp.Subscribed(message.request, subscription))

    session.router.realm.subscribe(session, message.topic, Match(message.match), now, confirm)


def unsubscribe(session: Asking, message: wamp.Unsubscribe, now: float) -> None:
    session.router.realm.unsubscribe(session, message.subscription)
    session.outlet.send(wamp.Unsubscribed(message.request))


def publish(session: Asking, message: wamp.Publish, now: float) -> None:
    if session.identity.role is not Role.OPERATOR:
        raise errors.NotAuthorized("this session may not publish")
    args, kwargs = _payload(message)

    def answer(result: int | errors.RequestError) -> None:
        outcome = uri_of(result) if isinstance(result, errors.RequestError) else str(result)
        session.router.realm.audit(session, "publish", f"{message.topic}: {outcome}")
        if message.acknowledge and session.is_joined:
            if isinstance(result, errors.RequestError):
                session.outlet.send(refusal(message.MESSAGE_TYPE, message.request, result))
            else:
                session.outlet.send(wamp.Published(message.request, result))

    session.router.publisher.publish(message.topic, args, kwargs, _audience(session, message), answer)


def call(session: Asking, message: wamp.Call, now: float) -> None:
    args, kwargs = _payload(message)
    result = session.router.procedures.call(session, message.procedure, args, kwargs, now)
    session.charge(result.cost)
    answer = wamp.Result(message.request, args=list(result.args), kwargs=result.kwargs)
    session.outlet.send(answer, until=session.identity.expires_at)


def cancel(session: Asking, message: wamp.Cancel, now: float) -> None:
    """Calls are answered at once, so nothing is left to cancel."""


def register(session: Asking, message: wamp.Register, now: float) -> None:
    raise errors.NotAuthorized("this router has its own procedures only")


def unregister(session: Asking, message: wamp.Unregister, now: float) -> None:
    raise errors.NoSuchRegistration("there is no such registration")


REQUESTS: dict[type[wamp.Message], Callable[[Any, Any, float], None]] = {
    wamp.Subscribe: subscribe,
    wamp.Unsubscribe: unsubscribe,
    wamp.Publish: publish,
    wamp.Call: call,
    wamp.Cancel: cancel,
    wamp.Register: register,
    wamp.Unregister: unregister,
}


def refusal(request_type: int, request: int, error: errors.RequestError) -> wamp.Error:
    return wamp.Error(request_type, request, uri_of(error), args=[str(error)])


def wants_an_answer(raw: list[Any]) -> bool:
    """Whether a refusal is sent: not for PUBLISH without acknowledge, and not for CANCEL."""
    if raw[0] == wamp.Publish.MESSAGE_TYPE:
        return bool(raw[2].get("acknowledge"))
    return bool(raw[0] != wamp.Cancel.MESSAGE_TYPE)


def _payload(message: wamp.Publish | wamp.Call) -> tuple[list[Any], dict[str, Any]]:
    args = [] if message.args is None else message.args
    kwargs = {} if message.kwargs is None else message.kwargs
    # Autobahn also accepts payloads of other specifications.
    if message.payload is not None or not isinstance(args, list) or not isinstance(kwargs, dict):
        raise errors.InvalidArgument("the payload must be a list and an object")
    return args, kwargs


def _audience(session: Asking, message: wamp.Publish) -> Audience:
    return Audience(
        eligible=_if_present(message.eligible),
        eligible_authid=_if_present(message.eligible_authid),
        eligible_authrole=_if_present(message.eligible_authrole),
        exclude=frozenset(message.exclude or ()),
        exclude_authid=frozenset(message.exclude_authid or ()),
        exclude_authrole=frozenset(message.exclude_authrole or ()),
        publisher=None if message.exclude_me is False else session.id,
    )


def _if_present(values: list[Any] | None) -> frozenset[Any] | None:
    """None if the option is absent. An empty list is a condition that no session meets."""
    return None if values is None else frozenset(values)
