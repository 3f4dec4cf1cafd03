"""Builds all parts of the server from its configuration. Nothing listens or runs yet."""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from autobahn.util import id as random_id
from twisted.internet.defer import ensureDeferred

from tuleaprt.application.durability import Snapshots, new_journal
from tuleaprt.application.endpoints import (
    debug_endpoint,
    private_site,
    public_endpoint,
    public_tls_endpoint,
    rawsocket_endpoint,
    unauthenticated_limit,
)
from tuleaprt.application.health import Probe, Readiness
from tuleaprt.application.instrumentation import (
    CountedAuthenticator,
    counted_history_read,
    counted_refresh,
    watch,
)
from tuleaprt.application.lifecycle import TuleaprtService
from tuleaprt.configuration.options import Config
from tuleaprt.configuration.reload import KeyFile, Live, Reload
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.operations.logs import Faults, Log, audit
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.operations.systemd import Notify
from tuleaprt.relay.procedures import campaign_procedures
from tuleaprt.relay.relay import Relay
from tuleaprt.relay.state import Owners
from tuleaprt.socketio.router import PageRouter, Positions
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.listening import listeners, open_listeners
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.transport.polling import Polls
from tuleaprt.transport.sending import sender
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.tuleap.topics import RoomPolicy
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.history import SLOT_BYTES, History
from tuleaprt.wamp.identifiers import anchor_id
from tuleaprt.wamp.procedures import REFRESH, Procedures, refresh
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.replay import GET_EVENTS, get_events
from tuleaprt.wamp.router import Router

MAX_IN_DELIVERY = 10_000
"""Publications that may be queued for slow subscribers, even without an event history."""


def compose(
    config: Config,
    reactor: Any,
    *,
    read: Callable[[], Config],
    notify: Notify,
    credentials: str | None = None,
    log: Log | None = None,
) -> TuleaprtService:
    """Build the server. ``read`` reads the configuration again; ``credentials`` is systemd's credentials
    folder.

    Raises:
        ConfigError: an endpoint, an origin, a proxy or a certificate is wrong or not allowed.
    """
    metrics = PrometheusMetrics()
    faults = Faults(metrics)
    backpressure = Backpressure(config.limits.max_outboxes)
    send_all, _ = sender()
    fanout = Fanout(reactor, backpressure=backpressure, metrics=metrics, faults=faults, send_all=send_all)
    node = secrets.token_hex(8)
    journal = new_journal(config, node, reactor, secrets.token_bytes)
    policy = RoomPolicy()
    realm = Realm(
        config.realtime.realm,
        policy=policy,
        history=History(
            events_per_topic=config.history.events_per_topic,
            seconds=config.history.seconds,
            max_bytes=config.history.bytes,
            anchor=lambda pattern, place: anchor_id(journal.epoch, pattern, place),
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
        node=node,
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
    connections = Connections(
        clock=reactor,
        fanout=fanout,
        backpressure=backpressure,
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
    durable = None if isinstance(journal, MemoryJournal) else journal
    readiness = Readiness(probe.problem, *([] if durable is None else [durable.problem]))
    pages = _pages(config, router, campaigns, others[REFRESH], metrics)
    snapshots = None
    if durable is not None:
        snapshots = Snapshots(
            durable,
            Owners(realm=realm, campaigns=campaigns, revocations=verifier.revocations),
            relay,
            pages.positions,
            clock=reactor,
            interval=config.history.seconds,
            metrics=metrics,
            faults=faults,
        )
    live = _live_limits(connections, backpressure, realm, router, pages)
    polls = Polls(connections, pages, config.websocket, unauthenticated_limit(config, connections, live))
    listen = config.listen
    site = private_site(config, reactor, relay, authenticator, readiness, metrics, faults, polls, live)
    public = public_endpoint(config, reactor, connections, router, polls, live)
    rawsocket = rawsocket_endpoint(config, connections, router, live)
    debug = debug_endpoint(config, reactor, connections, router, live)
    unauthenticated_limits = {
        "public": public.unauthenticated,
        "private": polls.unauthenticated,
        "rawsocket": rawsocket.unauthenticated,
        "debug": debug.unauthenticated,
    }
    over_tls = []
    if listen.public_tls:
        entrance, factory = public_tls_endpoint(config, reactor, connections, router, polls, live)
        unauthenticated_limits["public_tls"] = entrance.unauthenticated
        over_tls = listeners(reactor, "public_tls", listen.public_tls, factory)
    metrics.watch("ready", "Whether the server is ready.", lambda: int(not readiness.problems()))
    watch(metrics, connections, unauthenticated_limits.values(), realm, campaigns)
    made = TuleaprtService(
        [
            *listeners(reactor, "private", listen.private, site),
            *listeners(reactor, "public", listen.public, public),
            *over_tls,
            *listeners(reactor, "rawsocket", listen.rawsocket, rawsocket),
            *open_listeners(reactor, "debug", listen.debug, debug),
        ],
        site,
        connections,
        unauthenticated_limits,
        relay,
        probe,
        readiness,
        snapshots=snapshots,
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
        "Log lines that could not be written.",
        lambda: 0 if log is None else log.lost,
    )
    return made


def _pages(
    config: Config,
    router: Router,
    campaigns: Campaigns,
    refresh: Procedure,
    metrics: PrometheusMetrics,
) -> PageRouter:
    """What Tuleap's own pages share."""
    return PageRouter(
        realm=router.realm,
        authenticator=router.authenticator,
        refresh=refresh,
        presences=campaigns.presences,
        replayed=metrics.history_read,
        positions=Positions(),
        open_timeout=config.websocket.open_timeout,
        reminder=config.socketio.reminder,
        ping_interval=config.websocket.ping_interval,
        ping_timeout=config.websocket.ping_timeout,
        requests_per_second=config.limits.requests_per_second,
        max_replay=config.limits.max_outbox // 2,
    )


def _live_limits(
    connections: Connections, backpressure: Backpressure, realm: Realm, router: Router, pages: PageRouter
) -> Live:
    live = Live()
    for option in ("max_connections", "max_message_size", "max_outbox"):
        live.keep(f"limits.{option}", connections, option)
    live.keep("limits.max_outboxes", backpressure, "most")
    live.keep("limits.max_subscriptions_per_session", realm, "max_subscriptions")
    live.keep("limits.max_sessions_per_user", realm, "max_sessions_per_user")
    for owner in (router, pages):
        live.keep("limits.requests_per_second", owner, "requests_per_second")
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
    """The parts that watch the key file and the configuration."""

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
