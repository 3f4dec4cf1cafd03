"""``twistd tuleaprt``: the one place that knows all parts and puts them together."""

import gc
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from autobahn.util import id as random_id
from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.usage import Options as UsageOptions

from tuleaprt.audit import audit
from tuleaprt.config import Config
from tuleaprt.doors import debug_door, private_site, public_door, rawsocket_door
from tuleaprt.errors import ConfigError
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.keyfile import KeyFile
from tuleaprt.listening import OTHER_FILES, Listener, address, file_limit_for, listeners, open_listeners
from tuleaprt.loading import load
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.relay.procedures import campaign_procedures
from tuleaprt.relay.relay import Relay
from tuleaprt.reload import Live, Reload
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.outboxes import Outboxes
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import Input
from tuleaprt.tuleap.policy import RoomPolicy
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.history import History
from tuleaprt.wamp.identifiers import anchor_id
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.refresh import REFRESH, refresh
from tuleaprt.wamp.router import Router

FLUSH_SECONDS = 2
"""How long a stop waits until what is queued has been sent."""


GARBAGE_THRESHOLDS = (10_000, 10, 10)
"""Python looks for cycles when so many more objects were made than freed; by default it is 700."""


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

    def read() -> Config:
        return load(Path(path) if path else None, environment)

    try:
        return compose(read(), reactor, read=read, credentials=environment.get("CREDENTIALS_DIRECTORY"))
    except ConfigError as error:
        raise _not_started(error.problems) from None


def compose(
    config: Config, reactor: Any, *, read: Callable[[], Config], credentials: str | None = None
) -> "TuleaprtService":
    """``read`` gives the configuration anew; ``credentials``: the folder where systemd keeps them.

    Raises:
        ConfigError: an endpoint or an origin cannot be understood, or must not be.
    """
    metrics = PrometheusMetrics()
    faults = Faults(metrics)
    outboxes = Outboxes(config.limits.max_outboxes)
    fanout = Fanout(reactor, outboxes=outboxes, metrics=metrics, faults=faults)
    journal = MemoryJournal[Input](secrets.token_bytes(32))
    policy = RoomPolicy()
    realm = Realm(
        config.realtime.realm,
        policy=policy,
        history=History(
            events_per_topic=config.history.events_per_topic,
            seconds=config.history.seconds,
            max_bytes=config.history.bytes,
            anchor=partial(anchor_id, journal.epoch),
        ),
        new_id=random_id,
        deliver=fanout.deliver,
        audit=audit,
        max_subscriptions=config.limits.max_subscriptions_per_session,
        max_sessions_per_user=config.limits.max_sessions_per_user,
    )
    verifier = TicketVerifier(
        config.key,
        algorithms=config.realtime.algorithms,
        max_lifetime=config.realtime.max_token_lifetime,
    )
    campaigns = Campaigns(max=config.campaigns.max, idle_seconds=config.campaigns.idle_seconds)
    relay = Relay(
        realm,
        journal,
        campaigns=campaigns,
        revocations=verifier.revocations,
        grace=config.presence.grace,
        clock=reactor,
        run=ensureDeferred,
        metrics=metrics,
        faults=faults,
    )
    others: dict[str, Procedure] = {
        REFRESH: partial(refresh, realm, verifier),
        **campaign_procedures(campaigns, policy),
    }
    router = Router(
        realm=realm,
        authenticator=verifier,
        procedures=Procedures(realm, others),
        publisher=relay,
        anonymous=None,
        open_timeout=config.websocket.open_timeout,
        goodbye_timeout=config.websocket.ping_timeout,
        requests_per_second=config.limits.requests_per_second,
    )
    hub = Hub(
        clock=reactor,
        fanout=fanout,
        outboxes=outboxes,
        metrics=metrics,
        faults=faults,
        max_connections=config.limits.max_connections,
        max_message_size=config.limits.max_message_size,
        max_outbox=config.limits.max_outbox,
    )
    live = _live_limits(hub, outboxes, realm, router)
    listen = config.listen
    made = TuleaprtService(
        [
            *listeners(
                reactor,
                "private",
                listen.private,
                private_site(config, reactor, relay, verifier, metrics, faults, live),
            ),
            *listeners(reactor, "public", listen.public, public_door(config, reactor, hub, router, live)),
            *listeners(reactor, "rawsocket", listen.rawsocket, rawsocket_door(config, hub, router, live)),
            *open_listeners(reactor, "debug", listen.debug, debug_door(config, reactor, hub, router, live)),
        ],
        hub,
        relay,
        _background(config, reactor, live, verifier, read, credentials),
    )
    live.follow("limits.max_connections", lambda _: made.raise_file_limit())
    return made


def _live_limits(hub: Hub, outboxes: Outboxes, realm: Realm, router: Router) -> Live:
    live = Live()
    for option in ("max_connections", "max_message_size", "max_outbox"):
        live.keep(f"limits.{option}", hub, option)
    live.keep("limits.max_outboxes", outboxes, "most")
    live.keep("limits.max_subscriptions_per_session", realm, "max_subscriptions")
    live.keep("limits.max_sessions_per_user", realm, "max_sessions_per_user")
    live.keep("limits.requests_per_second", router, "requests_per_second")
    return live


def _background(
    config: Config,
    reactor: Any,
    live: Live,
    verifier: TicketVerifier,
    read: Callable[[], Config],
    credentials: str | None,
) -> list[KeyFile | Reload]:
    """What follows the key and the configuration."""
    keys = KeyFile(
        config.realtime.key_file,
        old_key_seconds=config.realtime.old_key_seconds,
        clock=reactor,
        change=verifier.change_key,
        credentials=credentials,
    )
    live.follow("realtime.key_file", keys.follow)
    live.keep("realtime.old_key_seconds", keys, "old_key_seconds")
    reload = Reload(config, live, reactor=reactor, read=read, take_key=keys.take)
    return [reload] if config.key_is_fixed else [keys, reload]


def _not_started(problems: Iterable[str]) -> SystemExit:
    return SystemExit("\n".join(("tuleaprt does not start:", *problems)))


class TuleaprtService(Service):
    """Starts listening, and stops in an order that loses as little as it can.

    Stopping: first no new connections and posts; then what is queued is sent, and each browser is told to
    come back (1012); then, when all browsers are gone, the fan-out, and the grace of their windows.
    """

    name = "tuleaprt"
    log = Logger()

    def __init__(
        self, listeners: list[Listener], hub: Hub, relay: Relay, background: Iterable[KeyFile | Reload] = ()
    ) -> None:
        self._listeners = listeners
        self._hub = hub
        self._relay = relay
        self._background = list(background)
        self._ports: list[IListeningPort] = []

    def privilegedStartService(self) -> None:
        """Listen, with the rights that twistd was started with; exits when that fails."""
        super().privilegedStartService()
        problems: list[str] = []

        def failed(failure: Failure, listener: Listener) -> None:
            problems.append(f"[listen] {listener.name}: {failure.getErrorMessage()}")

        for listener in self._listeners:
            listening = listener.endpoint.listen(listener.factory)
            listening.addCallback(self._listening, listener)
            listening.addErrback(failed, listener)
        # Of the endpoints that a server has, none takes its time to fail.
        if problems:
            raise _not_started(problems)

    def startService(self) -> None:
        super().startService()
        # Each look walks over all that thousands of connections and the history consist of, and what a post
        # leaves behind has no cycles. What is there now stays to the end.
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        self.raise_file_limit()
        for follower in self._background:
            follower.start()
        self.log.info("tuleaprt is ready")

    def raise_file_limit(self) -> None:
        """Let as many connect as the hub takes, or say that they cannot."""
        wanted = self._hub.max_connections + OTHER_FILES
        if (files := file_limit_for(self._hub.max_connections)) < wanted:
            self.log.emit(
                LogLevel.warn,
                "only {files} files may be open, and [limits] max_connections wants {wanted}",
                files=files,
                wanted=wanted,
            )

    def stopService(self) -> Deferred[None]:
        super().stopService()
        for follower in self._background:
            follower.stop()
        stopped = gatherResults([maybeDeferred(port.stopListening) for port in self._ports])
        return stopped.addCallback(lambda _: self._close_connections())

    def _close_connections(self) -> Deferred[None]:
        closed: Deferred[None] = Deferred()

        def close() -> None:
            if hurry.active():
                hurry.cancel()
            if not self._hub.is_shut_down:
                self._hub.shut_down().chainDeferred(closed)

        hurry = self._hub.clock.callLater(FLUSH_SECONDS, close)
        self._hub.fanout.then(close)
        return closed.addCallback(lambda _: self._stop_the_rest())

    def _stop_the_rest(self) -> None:
        self._hub.fanout.stop()
        self._relay.stop()

    def _listening(self, port: IListeningPort, listener: Listener) -> None:
        self._ports.append(port)
        self.log.info("{title} listens on {address}", title=listener.title, address=address(port))
        if listener.is_open:
            self.log.emit(
                LogLevel.warn,
                "{name} IS OPEN: WHOEVER CONNECTS TO {address} WITHOUT A TICKET IS AN OPERATOR",
                name=listener.name,
                address=address(port),
            )
