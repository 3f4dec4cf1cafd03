"""What is behind each kind of endpoint: the private site, the public door, and the door for debug tools."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from tuleaprt.audit import audit
from tuleaprt.config import Config
from tuleaprt.faults import Faults
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.readiness import Readiness
from tuleaprt.relay.relay import Relay
from tuleaprt.reload import Live
from tuleaprt.tls import over_tls
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.origins import allowed_origins, origin_is_allowed
from tuleaprt.transport.rawsocket import RawSocketFactory
from tuleaprt.transport.unauthenticated import Lobby
from tuleaprt.transport.websocket import Allows, WebSocketFactory
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR, Authenticator
from tuleaprt.wamp.router import Router
from tuleaprt.web.health import HealthResource
from tuleaprt.web.message import MessageResource
from tuleaprt.web.metrics import MetricsResource
from tuleaprt.web.private import ExecutionsResource, OperatorGate, SessionsResource
from tuleaprt.web.site import BoundedSite, PrivateSite

IDLE_HTTP_SECONDS = 60
"""How long Tuleap may keep a connection to the private site without a request on it."""


def private_site(
    config: Config,
    reactor: Any,
    relay: Relay,
    authenticator: Authenticator,
    readiness: Readiness,
    metrics: PrometheusMetrics,
    faults: Faults,
    live: Live,
) -> PrivateSite:
    """Where Tuleap posts, and administrators ask."""
    gate = OperatorGate(authenticator, clock=reactor, audit=audit)
    message = MessageResource(relay.accept, secret=config.post_secret, metrics=metrics, faults=faults)
    site = PrivateSite(
        {
            "message": message,
            "metrics": MetricsResource(metrics, faults),
            "health": HealthResource(readiness.problems, faults),
            "campaigns": ExecutionsResource(relay.seed, gate, faults),
            "sessions": SessionsResource(relay.revoke, gate, faults),
        },
        hosts=config.listen.private_hosts,
        clock=reactor,
        timeout=IDLE_HTTP_SECONDS,
        max_body=config.limits.max_post_size,
        faults=faults,
    )
    live.keep("realtime.post_secret", message, "secret")
    live.keep("limits.max_post_size", site, "max_body")
    return site


def public_door(
    config: Config, reactor: Any, hub: Hub, router: Router, live: Live, scheme: str | None = None
) -> EntranceFactory:
    """Where browsers connect. ``scheme`` is that of their pages' origin, if it is known."""

    def allows(origins: Collection[str]) -> Allows:
        return partial(origin_is_allowed, allowed=allowed_origins(origins), scheme=scheme)

    def allow(origins: Collection[str]) -> None:
        websockets.allows = allows(origins)

    websockets = WebSocketFactory(
        hub, router, config.websocket, allows=allows(config.websocket.allowed_origins)
    )
    live.follow("websocket.allowed_origins", allow)
    live.follow("limits.max_message_size", lambda _: websockets.limit_messages())
    return EntranceFactory(
        websockets,
        site=BoundedSite(
            {},
            clock=reactor,
            timeout=None,  # the entrance has one
            max_body=0,
            faults=hub.faults,
            closes=True,
        ),
        clock=reactor,
        faults=hub.faults,
        open_timeout=config.websocket.open_timeout,
        lobby=_lobby(config, hub, live),
    )


def public_tls_door(
    config: Config, reactor: Any, hub: Hub, router: Router, live: Live
) -> tuple[EntranceFactory, IProtocolFactory]:
    """Where browsers connect over TLS: the door, and what is to listen.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    door = public_door(config, reactor, hub, router, live, "https")
    return door, over_tls(door, config.tls, reactor)


def rawsocket_door(config: Config, hub: Hub, router: Router, live: Live) -> RawSocketFactory:
    """Where programs connect."""
    return RawSocketFactory(hub, router, config.websocket, lobby=_lobby(config, hub, live))


def debug_door(config: Config, reactor: Any, hub: Hub, router: Router, live: Live) -> EntranceFactory:
    """Where tools that know no tickets are operators. No web page is."""
    router = replace(router, anonymous=ANONYMOUS_OPERATOR)
    lobby = _lobby(config, hub, live)
    websockets = WebSocketFactory(hub, router, config.websocket, allows=lambda origin, host: False)
    live.keep("limits.requests_per_second", router, "requests_per_second")
    live.follow("limits.max_message_size", lambda _: websockets.limit_messages())
    return EntranceFactory(
        websockets,
        rawsockets=RawSocketFactory(hub, router, config.websocket, lobby=lobby),
        clock=reactor,
        faults=hub.faults,
        open_timeout=config.websocket.open_timeout,
        lobby=lobby,
    )


def _lobby(config: Config, hub: Hub, live: Live) -> Lobby:
    lobby = Lobby(config.limits.max_unauthenticated, hub.metrics.unauthenticated_dropped)
    live.keep("limits.max_unauthenticated", lobby, "most")
    return lobby
