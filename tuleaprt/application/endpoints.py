"""What is served at each kind of endpoint: private, public, public over TLS, RawSocket and debug."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from tuleaprt.application.health import Readiness
from tuleaprt.application.tls import over_tls
from tuleaprt.configuration.options import Config
from tuleaprt.configuration.reload import Live
from tuleaprt.errors import ConfigError
from tuleaprt.operations.logs import Faults, audit
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.page_websocket import PageWebSocketFactory
from tuleaprt.transport.polling import Polls
from tuleaprt.transport.rawsocket import RawSocketFactory
from tuleaprt.transport.request_headers import allowed_origins, origin_is_allowed
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.transport.websocket import PATH, Allows, WebSocketFactory
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
from tuleaprt.web.socketio import SocketIoResource

PRIVATE_NAMES = {"message", "metrics", "health", "campaigns", "sessions"}

_PATH = re.compile(r"/([A-Za-z0-9_~-][A-Za-z0-9._~-]*)/")

IDLE_HTTP_SECONDS = 60
"""How long a connection to the private site may stay open without a request."""


def page_resource(
    config: Config, polls: Polls, live: Live, scheme: str | None = None
) -> Mapping[str, SocketIoResource]:
    """The resource for Tuleap's pages by its name; empty: it is switched off. ``scheme`` is that of the
    pages, if it is known.

    Raises:
        ConfigError: the path is wrong.
    """
    path = config.socketio.path
    if not path:
        return {}
    match = _PATH.fullmatch(path)
    if match is None or match[1] in PRIVATE_NAMES or path.startswith(PATH + "/"):
        raise ConfigError(f"[socketio] path: {path!r} is not of the form /name/, or the name is taken")
    connections = polls.connections
    allows = _allows(config.websocket.allowed_origins, scheme)
    websockets = PageWebSocketFactory(connections, polls, config.websocket, served=path, allows=allows)
    resource = SocketIoResource(
        polls, websockets, allows=allows, proxies=websockets.proxies, faults=connections.faults
    )

    def allow(origins: Collection[str]) -> None:
        websockets.allows = resource.allows = _allows(origins, scheme)

    live.follow("websocket.allowed_origins", allow)
    live.follow("limits.max_message_size", lambda _: websockets.limit_messages())
    return {match[1]: resource}


def private_site(
    config: Config,
    reactor: Any,
    relay: Relay,
    authenticator: Authenticator,
    readiness: Readiness,
    metrics: PrometheusMetrics,
    faults: Faults,
    polls: Polls,
    live: Live,
) -> PrivateSite:
    """The site for Tuleap's posts, for administrators, and for the pages that Tuleap's nginx sends here."""
    gate = OperatorGate(authenticator, clock=reactor, audit=audit)
    message = MessageResource(relay.accept, secret=config.post_secret, metrics=metrics, faults=faults)
    site = PrivateSite(
        {
            "message": message,
            "metrics": MetricsResource(metrics, faults),
            "health": HealthResource(readiness.problems, faults),
            "campaigns": ExecutionsResource(relay.seed, gate, faults),
            "sessions": SessionsResource(relay.revoke, gate, faults),
            **page_resource(config, polls, live),
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
    polls: Polls,
    live: Live,
    scheme: str | None = None,
) -> EntranceFactory:
    """Serves browsers. ``scheme`` is that of their pages, if it is known."""

    def allow(origins: Collection[str]) -> None:
        websockets.allows = _allows(origins, scheme)

    websockets = WebSocketFactory(
        connections, router, config.websocket, allows=_allows(config.websocket.allowed_origins, scheme)
    )
    live.follow("websocket.allowed_origins", allow)
    live.follow("limits.max_message_size", lambda _: websockets.limit_messages())
    return EntranceFactory(
        websockets,
        site=BoundedSite(
            page_resource(config, polls, live, scheme),
            clock=reactor,
            timeout=None,  # the entrance limits the time
            max_body=0,
            faults=connections.faults,
            closes=True,
        ),
        clock=reactor,
        faults=connections.faults,
        open_timeout=config.websocket.open_timeout,
        unauthenticated=unauthenticated_limit(config, connections, live),
    )


def public_tls_endpoint(
    config: Config, reactor: Any, connections: Connections, router: Router, polls: Polls, live: Live
) -> tuple[EntranceFactory, IProtocolFactory]:
    """Serves browsers over TLS. Returns the entrance, and the factory to listen with.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    entrance = public_endpoint(config, reactor, connections, router, polls, live, "https")
    return entrance, over_tls(entrance, config.tls, reactor)


def rawsocket_endpoint(
    config: Config, connections: Connections, router: Router, live: Live
) -> RawSocketFactory:
    """Serves programs over RawSocket."""
    return RawSocketFactory(
        connections,
        router,
        config.websocket,
        unauthenticated=unauthenticated_limit(config, connections, live),
    )


def debug_endpoint(
    config: Config, reactor: Any, connections: Connections, router: Router, live: Live
) -> EntranceFactory:
    """Serves debug tools without tokens, as operators. Web pages are refused."""
    router = replace(router, anonymous=ANONYMOUS_OPERATOR)
    unauthenticated = unauthenticated_limit(config, connections, live)
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


def unauthenticated_limit(config: Config, connections: Connections, live: Live) -> UnauthenticatedLimit:
    """The limit of one kind of endpoint."""
    unauthenticated = UnauthenticatedLimit(
        config.limits.max_unauthenticated, connections.metrics.unauthenticated_dropped
    )
    live.keep("limits.max_unauthenticated", unauthenticated, "most")
    return unauthenticated


def _allows(origins: Collection[str], scheme: str | None) -> Allows:
    return partial(origin_is_allowed, allowed=allowed_origins(origins), scheme=scheme)
