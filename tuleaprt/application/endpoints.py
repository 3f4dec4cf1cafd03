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
"""How long a connection to the private site may stay open without a request."""


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
    """The site for Tuleap's posts and for administrators."""
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
    """Serves browsers. ``scheme`` is that of their pages, if it is known."""

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
            timeout=None,  # the entrance limits the time
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
    """Serves browsers over TLS. Returns the entrance, and the factory to listen with.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    entrance = public_endpoint(config, reactor, connections, router, live, "https")
    return entrance, over_tls(entrance, config.tls, reactor)


def rawsocket_endpoint(
    config: Config, connections: Connections, router: Router, live: Live
) -> RawSocketFactory:
    """Serves programs over RawSocket."""
    return RawSocketFactory(
        connections, router, config.websocket, unauthenticated=_unauthenticated(config, connections, live)
    )


def debug_endpoint(
    config: Config, reactor: Any, connections: Connections, router: Router, live: Live
) -> EntranceFactory:
    """Serves debug tools without tokens, as operators. Web pages are refused."""
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
