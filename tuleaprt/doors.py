"""What is behind each kind of endpoint: the private site, the public door, and the door for debug tools."""

from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from tuleaprt.audit import audit
from tuleaprt.config import Config
from tuleaprt.faults import Faults
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Relay
from tuleaprt.tls import over_tls
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.factories import RawSocketFactory, WebSocketFactory
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.lobby import Lobby
from tuleaprt.transport.origins import allowed_origins, origin_is_allowed
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR, Authenticator
from tuleaprt.wamp.router import Router
from tuleaprt.web.admin import ExecutionsResource, OperatorGate, SessionsResource
from tuleaprt.web.message import MessageResource
from tuleaprt.web.metrics import MetricsResource
from tuleaprt.web.site import BoundedSite, PrivateSite

IDLE_HTTP_SECONDS = 60
"""How long Tuleap may keep a connection to the private site without a request on it."""


def private_site(
    config: Config,
    reactor: Any,
    relay: Relay,
    authenticator: Authenticator,
    metrics: PrometheusMetrics,
    faults: Faults,
) -> PrivateSite:
    """Where Tuleap posts, and administrators ask."""
    gate = OperatorGate(authenticator, clock=reactor, audit=audit)
    return PrivateSite(
        {
            "message": MessageResource(
                relay.accept, secret=config.post_secret, metrics=metrics, faults=faults
            ),
            "metrics": MetricsResource(metrics, faults),
            "campaigns": ExecutionsResource(relay.seed, gate, faults),
            "sessions": SessionsResource(relay.revoke, gate, faults),
        },
        hosts=config.listen.private_hosts,
        clock=reactor,
        timeout=IDLE_HTTP_SECONDS,
        max_body=config.limits.max_post_size,
        faults=faults,
    )


def public_door(
    config: Config, reactor: Any, hub: Hub, router: Router, scheme: str | None = None
) -> EntranceFactory:
    """Where browsers connect. ``scheme`` is that of their pages' origin, if it is known."""
    allowed = partial(
        origin_is_allowed, allowed=allowed_origins(config.websocket.allowed_origins), scheme=scheme
    )
    return EntranceFactory(
        WebSocketFactory(hub, router, config.websocket, allows=allowed),
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
        lobby=Lobby(config.limits.max_unauthenticated),
    )


def public_tls_door(config: Config, reactor: Any, hub: Hub, router: Router) -> IProtocolFactory:
    """Where browsers connect over TLS.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    return over_tls(public_door(config, reactor, hub, router, "https"), config.tls, reactor)


def rawsocket_door(config: Config, hub: Hub, router: Router) -> RawSocketFactory:
    """Where programs connect."""
    return RawSocketFactory(hub, router, config.websocket, lobby=Lobby(config.limits.max_unauthenticated))


def debug_door(config: Config, reactor: Any, hub: Hub, router: Router) -> EntranceFactory:
    """Where tools that know no tickets are operators. No web page is."""
    router = replace(router, anonymous=ANONYMOUS_OPERATOR)
    lobby = Lobby(config.limits.max_unauthenticated)
    return EntranceFactory(
        WebSocketFactory(hub, router, config.websocket, allows=lambda origin, host: False),
        rawsockets=RawSocketFactory(hub, router, config.websocket, lobby=lobby),
        clock=reactor,
        faults=hub.faults,
        open_timeout=config.websocket.open_timeout,
        lobby=lobby,
    )
