"""``twistd tuleaprt``: the one place that knows all parts and puts them together."""

import gc
import os
import secrets
import signal
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from autobahn.util import id as random_id
from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.usage import Options as UsageOptions

from tuleaprt.audit import audit
from tuleaprt.config import Config, load
from tuleaprt.doors import debug_door, private_site, public_door, rawsocket_door
from tuleaprt.errors import ConfigError
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.listening import OTHER_FILES, Listener, address, file_limit_for, listeners, open_listeners
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.notify import Notify
from tuleaprt.relay.procedures import campaign_procedures
from tuleaprt.relay.relay import Relay
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
from tuleaprt.web.site import BoundedSite

FLUSH_SECONDS = 2
"""How long a stop waits, at most, for posts that are under way, and then for what is queued to be sent."""


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
    try:
        return compose(load(Path(path) if path else None, environment), reactor, Notify(environment))
    except ConfigError as error:
        raise _not_started(error.problems) from None


def compose(config: Config, reactor: Any, notify: Notify) -> "TuleaprtService":
    """
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
    listen = config.listen
    site = private_site(config, reactor, relay, verifier, metrics, faults)
    return TuleaprtService(
        [
            *listeners(reactor, "private", listen.private, site),
            *listeners(reactor, "public", listen.public, public_door(config, reactor, hub, router)),
            *listeners(reactor, "rawsocket", listen.rawsocket, rawsocket_door(config, hub, router)),
            *open_listeners(reactor, "debug", listen.debug, debug_door(config, reactor, hub, router)),
        ],
        site,
        hub,
        relay,
        reactor=reactor,
        notify=notify,
        drain=config.shutdown.drain,
    )


def _not_started(problems: Iterable[str]) -> SystemExit:
    return SystemExit("\n".join(("tuleaprt does not start:", *problems)))


class TuleaprtService(Service):
    """Starts listening, and stops in an order that loses as little as it can, within ``drain`` seconds.

    Stopping: first no new connections, and the posts that are under way are finished; then what is queued is
    sent, and each browser is told to come back (1012), many of them over the time that is left; then, when
    all browsers are gone, the fan-out, and the grace of their windows.
    """

    name = "tuleaprt"
    log = Logger()

    def __init__(
        self,
        listeners: list[Listener],
        site: BoundedSite,
        hub: Hub,
        relay: Relay,
        *,
        reactor: Any,
        notify: Notify,
        drain: float,
    ) -> None:
        self._listeners = listeners
        self._site = site
        self._hub = hub
        self._relay = relay
        self._reactor = reactor
        self._notify = notify
        self._drain = drain
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
        wanted = self._hub.max_connections + OTHER_FILES
        if (files := file_limit_for(self._hub.max_connections)) < wanted:
            self.log.emit(
                LogLevel.warn,
                "only {files} files may be open, and [limits] max_connections wants {wanted}",
                files=files,
                wanted=wanted,
            )
        # Not before: a SIGINT while the reactor installs its handlers would leave it without any.
        self._reactor.callWhenRunning(self._running)

    def _running(self) -> None:
        self._exit_with_0()
        self._notify.ready()
        self.log.info("tuleaprt is ready")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        end = self._reactor.seconds() + self._drain
        self._notify.stopping()
        for port in self._ports:
            if IReadDescriptor.providedBy(port):
                # Who has connected already would be reset.
                port.doRead()
            await maybeDeferred(port.stopListening)
        await self._site.drain(min(FLUSH_SECONDS, self._drain / 4))
        await self._flush()
        await self._hub.shut_down(max(0, end - self._reactor.seconds()))
        self._hub.fanout.stop()
        self._relay.stop()

    def _flush(self) -> Deferred[None]:
        """Fires when what is queued has been sent, or that takes too long."""
        flushed: Deferred[None] = Deferred()

        def done() -> None:
            if hurry.active():
                hurry.cancel()
            if not flushed.called:
                flushed.callback(None)

        hurry = self._reactor.callLater(min(FLUSH_SECONDS, self._drain / 4), done)
        self._hub.fanout.then(done)
        return flushed

    def _exit_with_0(self) -> None:
        """On SIGTERM; Twisted would end the process by that signal. A second one does, at once."""

        def stop(number: int, frame: object) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._reactor.callFromThread(self._reactor.stop)

        signal.signal(signal.SIGTERM, stop)

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
