"""``twistd tuleaprt``: the one place that knows all parts and puts them together."""

import os
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from autobahn.util import id as random_id
from twisted.application.service import Service
from twisted.internet.defer import ensureDeferred
from twisted.python.usage import Options as UsageOptions

from tuleaprt.audit import audit
from tuleaprt.config import Config
from tuleaprt.counting import CountedAuthenticator, counted_history_read, counted_refresh
from tuleaprt.doors import debug_door, private_site, public_door, public_tls_door, rawsocket_door
from tuleaprt.errors import ConfigError
from tuleaprt.faults import Faults
from tuleaprt.gauges import watch
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.keyfile import KeyFile
from tuleaprt.listening import listeners, open_listeners
from tuleaprt.loading import load
from tuleaprt.log import Log, log_output
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.notify import Notify
from tuleaprt.probe import Probe
from tuleaprt.readiness import Readiness
from tuleaprt.relay.procedures import campaign_procedures
from tuleaprt.relay.relay import Relay
from tuleaprt.reload import Live, Reload
from tuleaprt.serving import TuleaprtService, not_started
from tuleaprt.signals import survive
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.outboxes import Outboxes
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import Input
from tuleaprt.tuleap.policy import RoomPolicy
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.history import SLOT_BYTES, History
from tuleaprt.wamp.identifiers import anchor_id
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.refresh import REFRESH, refresh
from tuleaprt.wamp.replay import GET_EVENTS, get_events
from tuleaprt.wamp.router import Router

MAX_IN_DELIVERY = 10_000
"""Publications that may be on their way to slow subscribers, even where there is no history."""


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

    # Of twistd; a test has none.
    twistd = getattr(options, "parent", None)
    try:
        config = read()
        output = None if twistd is None else log_output(twistd)
        log = None if output is None else Log(config.log.format, output)
        made = compose(
            config,
            reactor,
            read=read,
            notify=Notify(environment),
            credentials=environment.get("CREDENTIALS_DIRECTORY"),
            log=log,
        )
    except ConfigError as error:
        raise not_started(error.problems) from None
    except OSError as error:
        raise not_started([f"the log file: {error}"]) from None
    if twistd is not None:
        survive(lambda: reactor.callFromThread(_reopen, log))
    return made


def _reopen(log: Log | None) -> None:
    if log is not None and log.reopen():
        Log.log.info("SIGUSR1: the log file has been opened again")
    else:
        Log.log.info("SIGUSR1: there is no log file to open again")


def compose(
    config: Config,
    reactor: Any,
    *,
    read: Callable[[], Config],
    notify: Notify,
    credentials: str | None = None,
    log: Log | None = None,
) -> TuleaprtService:
    """``read`` gives the configuration anew; ``credentials``: the folder where systemd keeps them.

    Raises:
        ConfigError: an endpoint, an origin, a proxy or a certificate cannot be understood, or must not be.
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
    campaigns = Campaigns(
        max=config.campaigns.max,
        idle_seconds=config.campaigns.idle_seconds,
        max_publications=max(config.history.bytes // SLOT_BYTES, MAX_IN_DELIVERY),
    )
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
    authenticator = CountedAuthenticator(verifier, metrics)
    others: dict[str, Procedure] = {
        REFRESH: counted_refresh(partial(refresh, realm, verifier), metrics),
        GET_EVENTS: counted_history_read(partial(get_events, realm), metrics),
        **campaign_procedures(campaigns, policy),
    }
    router = Router(
        realm=realm,
        authenticator=authenticator,
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
    probe = Probe(
        relay,
        clock=reactor,
        run=ensureDeferred,
        deliver=fanout.deliver,
        metrics=metrics,
        faults=faults,
    )
    readiness = Readiness(probe.problem)
    live = _live_limits(hub, outboxes, realm, router)
    listen = config.listen
    site = private_site(config, reactor, relay, authenticator, readiness, metrics, faults, live)
    public = public_door(config, reactor, hub, router, live)
    rawsocket = rawsocket_door(config, hub, router, live)
    debug = debug_door(config, reactor, hub, router, live)
    lobbies = {"public": public.lobby, "rawsocket": rawsocket.lobby, "debug": debug.lobby}
    over_tls = []
    if listen.public_tls:
        door, factory = public_tls_door(config, reactor, hub, router, live)
        lobbies["public_tls"] = door.lobby
        over_tls = listeners(reactor, "public_tls", listen.public_tls, factory)
    watch(metrics, hub, lobbies.values(), realm, campaigns)
    made = TuleaprtService(
        [
            *listeners(reactor, "private", listen.private, site),
            *listeners(reactor, "public", listen.public, public),
            *over_tls,
            *listeners(reactor, "rawsocket", listen.rawsocket, rawsocket),
            *open_listeners(reactor, "debug", listen.debug, debug),
        ],
        site,
        hub,
        lobbies,
        relay,
        probe,
        readiness,
        background=_background(config, reactor, live, verifier, read, notify, credentials, log),
        reactor=reactor,
        notify=notify,
        drain=config.shutdown.drain,
        log=log,
    )
    for option in ("limits.max_connections", "limits.max_unauthenticated"):
        live.follow(option, lambda _: made.raise_file_limit())
    live.follow("log.format", (lambda _: None) if log is None else log.apply)
    metrics.watch(
        "log_lines_lost",
        "Lines of the log that could not be written.",
        lambda: 0 if log is None else log.lost,
    )
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
    notify: Notify,
    credentials: str | None,
    log: Log | None,
) -> list[KeyFile | Reload]:
    """What follows the key and the configuration."""

    def began() -> None:
        notify.reloading()
        if log is not None:
            log.reopen()

    keys = KeyFile(
        config.realtime.key_file,
        old_key_seconds=config.realtime.old_key_seconds,
        clock=reactor,
        change=verifier.change_key,
        credentials=credentials,
    )
    live.follow("realtime.key_file", keys.follow)
    live.keep("realtime.old_key_seconds", keys, "old_key_seconds")
    reload = Reload(
        config,
        live,
        reactor=reactor,
        read=read,
        take_key=keys.take,
        began=began,
        ended=notify.ready,
    )
    return [reload] if config.key_is_fixed else [keys, reload]
