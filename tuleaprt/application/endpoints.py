"""What is served at each kind of endpoint: private, public, public over TLS, RawSocket and debug."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from tuleaprt.application.health import Readiness
from tuleaprt.application.tls import over_tls
from tuleaprt.configuration.options import Config
from tuleaprt.configuration.reload import Live
from tuleaprt.operations.logs import Faults, audit
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.rawsocket import RawSocketFactory
from tuleaprt.transport.request_headers import allowed_origins, origin_is_allowed
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.transport.websocket import Allows, WebSocketFactory
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR, Authenticator
from tuleaprt.wamp.router import Router
from tuleaprt.web.private import (
    ExecutionsResource,
    HealthResource,
    MessageResource,
    MetricsResource,
    OperatorGate,
    SessionsResource,
)
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


def public_endpoint(
    config: Config,
    reactor: Any,
    connections: Connections,
    router: Router,
    live: Live,
    scheme: str | None = None,
) -> EntranceFactory:
    """Where browsers connect. ``scheme`` is that of their pages' origin, if it is known."""

    def allows(origins: Collection[str]) -> Allows:
        return partial(origin_is_allowed, allowed=allowed_origins(origins), scheme=scheme)

    def allow(origins: Collection[str]) -> None:
        websockets.allows = allows(origins)

    websockets = WebSocketFactory(
        connections, router, config.websocket, allows=allows(config.websocket.allowed_origins)
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
            faults=connections.faults,
            closes=True,
        ),
        clock=reactor,
        faults=connections.faults,
        open_timeout=config.websocket.open_timeout,
        unauthenticated=_unauthenticated(config, connections, live),
    )


def public_tls_endpoint(
    config: Config, reactor: Any, connections: Connections, router: Router, live: Live
) -> tuple[EntranceFactory, IProtocolFactory]:
    """Where browsers connect over TLS: the entrance, and what is to listen.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    entrance = public_endpoint(config, reactor, connections, router, live, "https")
    return entrance, over_tls(entrance, config.tls, reactor)


def rawsocket_endpoint(
    config: Config, connections: Connections, router: Router, live: Live
) -> RawSocketFactory:
    """Where programs connect."""
    return RawSocketFactory(
        connections, router, config.websocket, unauthenticated=_unauthenticated(config, connections, live)
    )


def debug_endpoint(
    config: Config, reactor: Any, connections: Connections, router: Router, live: Live
) -> EntranceFactory:
    """Where tools that know no tickets are operators. No web page is."""
    router = replace(router, anonymous=ANONYMOUS_OPERATOR)
    unauthenticated = _unauthenticated(config, connections, live)
    websockets = WebSocketFactory(connections, router, config.websocket, allows=lambda origin, host: False)
    live.keep("limits.requests_per_second", router, "requests_per_second")
    live.follow("limits.max_message_size", lambda _: websockets.limit_messages())
    return EntranceFactory(
        websockets,
        rawsockets=RawSocketFactory(connections, router, config.websocket, unauthenticated=unauthenticated),
        clock=reactor,
        faults=connections.faults,
        open_timeout=config.websocket.open_timeout,
        unauthenticated=unauthenticated,
    )


def _unauthenticated(config: Config, connections: Connections, live: Live) -> UnauthenticatedLimit:
    unauthenticated = UnauthenticatedLimit(
        config.limits.max_unauthenticated, connections.metrics.unauthenticated_dropped
    )
    live.keep("limits.max_unauthenticated", unauthenticated, "most")
    return unauthenticated
