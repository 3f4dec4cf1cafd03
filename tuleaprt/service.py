"""``twistd tuleaprt``: the one place that knows all parts and puts them together."""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from autobahn.twisted.resource import WebSocketResource
from autobahn.util import id as random_id
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.usage import Options as UsageOptions

from tuleaprt.config import Config, load
from tuleaprt.errors import ConfigError
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Post, Relay
from tuleaprt.transport.factories import WebSocketFactory
from tuleaprt.transport.fanout import Fanout
from tuleaprt.tuleap.policy import RoomPolicy
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.outlet import Outlet
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.session import Session
from tuleaprt.web.message import MessageResource
from tuleaprt.web.metrics import MetricsResource
from tuleaprt.web.site import BoundedSite, PrivateSite, root

IDLE_HTTP_SECONDS = 60
"""How long Tuleap may keep a connection to the private site without a request on it."""


class Options(UsageOptions):
    """The command line of ``twistd tuleaprt``."""

    longdesc = "Real-time server for Tuleap. Every option of the file is explained in etc/tuleaprt.toml."
    optParameters: ClassVar[Any] = [
        ["config", "c", None, "The configuration file (TOML); without it, the defaults."]
    ]


def makeService(  # the name that twistd calls
    options: Mapping[str, Any], reactor: Any = None, environment: Mapping[str, str] = os.environ
) -> Service:
    """The whole server, not yet listening. Exits with one line for each problem of the configuration."""
    if reactor is None:
        from twisted.internet import reactor
    path = options["config"]
    try:
        return compose(load(Path(path) if path else None, environment), reactor)
    except ConfigError as error:
        raise _not_started(error.problems) from None


def compose(config: Config, reactor: Any) -> "TuleaprtService":
    """
    Raises:
        ConfigError: an endpoint or an origin cannot be understood.
    """
    metrics = PrometheusMetrics()
    faults = Faults(metrics)
    fanout = Fanout(reactor, metrics=metrics, faults=faults)
    realm = Realm(
        config.realtime.realm,
        policy=RoomPolicy(),
        new_id=random_id,
        max_subscriptions=config.limits.max_subscriptions_per_session,
    )
    journal = MemoryJournal[Post](secrets.token_bytes(32))
    relay = Relay(realm, journal, fanout.deliver, seconds=reactor.seconds, metrics=metrics, faults=faults)
    verifier = TicketVerifier(
        config.key,
        algorithms=config.realtime.algorithms,
        max_lifetime=config.realtime.max_token_lifetime,
    )

    def new_session(outlet: Outlet, opened: float) -> Session:
        return Session(
            realm,
            verifier,
            outlet,
            opened=opened,
            open_timeout=config.websocket.open_timeout,
            goodbye_timeout=config.websocket.ping_timeout,
        )

    websockets = WebSocketFactory(
        config, new_session, clock=reactor, fanout=fanout, metrics=metrics, faults=faults
    )
    post = MessageResource(relay.accept, secret=config.post_secret, metrics=metrics, faults=faults)
    private = PrivateSite(
        root({"message": post, "metrics": MetricsResource(metrics, faults)}),
        hosts=config.listen.private_hosts,
        clock=reactor,
        timeout=IDLE_HTTP_SECONDS,
        max_body=config.limits.max_post_size,
        faults=faults,
    )
    public = BoundedSite(
        root({"ws": cast(Any, WebSocketResource(websockets))}),
        clock=reactor,
        timeout=config.websocket.open_timeout,
        max_body=0,
        faults=faults,
    )
    listeners = [
        Listener(site, _endpoint(reactor, site, description), factory)
        for site, descriptions, factory in (
            ("private", config.listen.private, private),
            ("public", config.listen.public, public),
        )
        for description in descriptions
    ]
    return TuleaprtService(listeners, websockets, fanout)


def _not_started(problems: Iterable[str]) -> SystemExit:
    return SystemExit("\n".join(("tuleaprt does not start:", *problems)))


def _endpoint(reactor: Any, site: str, description: str) -> IStreamServerEndpoint:
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
        return endpoint
    except Exception as error:
        # Twisted's parsers raise whatever comes: ValueError, KeyError, TypeError.
        raise ConfigError(f"[listen] {site}: {description!r} is no endpoint: {error}") from None


@dataclass(frozen=True, slots=True)
class Listener:
    """One endpoint of one site."""

    site: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


class TuleaprtService(Service):
    """Starts listening, and stops in an order that loses as little as it can.

    Stopping: first no new connections and posts; then what is queued is sent, and each browser is told to
    come back (1012); then, when all browsers are gone, the fan-out.
    """

    name = "tuleaprt"
    log = Logger()

    def __init__(self, listeners: list[Listener], websockets: WebSocketFactory, fanout: Fanout) -> None:
        self._listeners = listeners
        self._websockets = websockets
        self._fanout = fanout
        self._ports: list[IListeningPort] = []

    def privilegedStartService(self) -> None:
        """Listen, with the rights that twistd was started with; exits when that fails."""
        super().privilegedStartService()
        problems: list[str] = []

        def failed(failure: Failure, site: str) -> None:
            problems.append(f"the {site} site: {failure.getErrorMessage()}")

        for listener in self._listeners:
            listening = listener.endpoint.listen(listener.factory)
            listening.addCallback(self._listening, listener.site)
            listening.addErrback(failed, listener.site)
        # Of the endpoints that a server has, none takes its time to fail.
        if problems:
            raise _not_started(problems)

    def startService(self) -> None:
        super().startService()
        self.log.info("tuleaprt is ready")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        stopped = gatherResults([maybeDeferred(port.stopListening) for port in self._ports])
        return stopped.addCallback(lambda _: self._close_websockets())

    def _close_websockets(self) -> Deferred[None]:
        closed: Deferred[None] = Deferred()

        def close() -> None:
            self._websockets.shut_down().chainDeferred(closed)

        self._fanout.then(close)
        return closed.addCallback(lambda _: self._fanout.stop())

    def _listening(self, port: IListeningPort, site: str) -> None:
        self._ports.append(port)
        host: Any = port.getHost()
        address = f"{host.host}:{host.port}" if hasattr(host, "port") else f"unix:{os.fsdecode(host.name)}"
        self.log.info("{site} site listens on {address}", site=site, address=address)
