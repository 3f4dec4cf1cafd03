"""The service that twistd runs: the order in which the server starts and stops."""

import atexit
import gc
import math
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from tuleaprt.application.durability import Snapshots
from tuleaprt.application.health import Probe, Readiness
from tuleaprt.configuration.reload import KeyFile, Reload
from tuleaprt.errors import ConfigError
from tuleaprt.operations.logs import Log
from tuleaprt.operations.systemd import Notify
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.listening import OTHER_FILES, Listener, address, file_limit_for
from tuleaprt.transport.sending import sender
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.web.site import BoundedSite

FLUSH_SECONDS = 2
"""The longest time that a stop waits for posts in progress, and then for queued events."""

GARBAGE_THRESHOLDS = (10_000, 10, 10)
"""The garbage collector runs when this many more objects were made than freed. Python's default is 700."""


def not_started(problems: Iterable[str]) -> SystemExit:
    return SystemExit("\n".join(("tuleaprt does not start:", *problems)))


def _problems(failure: Failure) -> Iterable[str]:
    return failure.value.problems if isinstance(failure.value, ConfigError) else [failure.getErrorMessage()]


class TuleaprtService(Service):
    """Starts listening, and stops within ``drain`` seconds.

    The stop first closes the endpoints for clients. Then it sends what is queued, and closes the clients
    (1012), in batches over the time that is left. When all are closed, it answers the posts in progress,
    and takes no more.
    """

    name = "tuleaprt"
    log = Logger()

    def __init__(
        self,
        listeners: list[Listener],
        site: BoundedSite,
        connections: Connections,
        unauthenticated_limits: Mapping[str, UnauthenticatedLimit],
        relay: Relay,
        probe: Probe,
        readiness: Readiness,
        *,
        snapshots: Snapshots | None = None,
        background: Iterable[KeyFile | Reload],
        reactor: Any,
        notify: Notify,
        drain: float,
        log: Log | None = None,
    ) -> None:
        self._listeners = listeners
        self._site = site
        self._connections = connections
        self._unauthenticated_limits = unauthenticated_limits
        self._relay = relay
        self._probe = probe
        self._readiness = readiness
        self._reactor = reactor
        self._notify = notify
        self._drain = drain
        self._background = list(background)
        self._snapshots = snapshots
        self._ports: list[tuple[Listener, IListeningPort]] = []
        self._waiting: list[Any] = []
        """The ports that answer when the journal has been read."""
        self._beginning: Deferred[None] = succeed(None)
        self._failure: Failure | None = None
        self._log = log
        probe.on_ok = self._is_well

    def setServiceParent(self, parent: Any) -> None:
        # twistd asks its application for the log observer when all services are made, before it logs.
        # The option --logger takes precedence.
        if self._log is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Listen, while the process may still have root's rights. Exits if an endpoint fails."""
        super().privilegedStartService()
        problems: list[str] = []

        def failed(failure: Failure, listener: Listener) -> None:
            problems.append(f"[listen] {listener.name}: {failure.getErrorMessage()}")

        for listener in self._listeners:
            listening = listener.endpoint.listen(listener.factory)
            listening.addCallback(self._listening, listener)
            listening.addErrback(failed, listener)
        # All endpoints of a server fail at once or not at all.
        if problems:
            raise not_started(problems)

    def startService(self) -> None:
        super().startService()
        # The process has its own rights now, so the file of a journal belongs to its user.
        self._beginning = ensureDeferred(self._restore())
        self._beginning.addErrback(self._not_restored)
        if self._failure is not None:
            raise not_started(_problems(self._failure))
        if not self._beginning.called:
            # Clients that connect meanwhile wait for the first answer.
            self._waiting = [port for _, port in self._ports]
            for port in self._waiting:
                port.stopReading()
        for follower in self._background:
            follower.start()
        self._reactor.callWhenRunning(self._running)

    async def _restore(self) -> None:
        """Take over what the journal has, and prepare for a long run."""
        if self._snapshots is not None:
            # Collections while the state grows would take most of the time.
            gc.disable()
            try:
                await self._snapshots.restore()
            finally:
                gc.enable()
        # A collection walks over thousands of connections and the event history, and posts leave no cycles
        # behind.
        # Objects that exist now stay until the end.
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        self.raise_file_limit()

    def _running(self) -> None:
        """Before this, signals are handled by Twisted."""
        self._exit_with_0()
        self._beginning.addCallback(self._ready)

    def _not_restored(self, failure: Failure) -> None:
        self._failure = failure

    def _ready(self, _: object) -> None:
        """Answer clients, and announce readiness."""
        if self._readiness.is_stopping:
            return
        if self._failure is not None:
            self._fail(str(not_started(_problems(self._failure))))
            return
        self._readiness.is_listening = True
        for port in self._waiting:
            port.startReading()
        if self._snapshots is not None:
            self._snapshots.start(lambda reason: self._fail(f"{reason}: this process ends"))
        self._probe.start()
        self._notify.ready()
        self.log.info("events are sent {how}", how=sender()[1])
        self.log.info("tuleaprt is ready")

    def _fail(self, reason: str) -> None:
        """Stop in order, with exit status 1, so that systemd starts the server again."""
        self.log.critical("{reason}", event="server.failed", reason=reason)

        def leave() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)

        # twistd itself ends with 0 after every stop.
        atexit.register(leave)
        self._reactor.stop()

    def raise_file_limit(self) -> None:
        """Raise the limit of open files for all connections, or log that it is too low."""
        open_to_clients = {it.name for it in self._listeners} & self._unauthenticated_limits.keys()
        unauthenticated = sum(self._unauthenticated_limits[name].most for name in open_to_clients)
        wanted = self._connections.max_connections + unauthenticated + OTHER_FILES
        if (files := file_limit_for(wanted)) < wanted:
            self.log.emit(
                LogLevel.warn,
                "only {files} files may be open, but [limits] max_connections and max_unauthenticated need "
                "{wanted}",
                files=files,
                wanted=wanted,
            )

    def stopService(self) -> Deferred[None]:
        super().stopService()
        for follower in self._background:
            follower.stop()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        end = self._reactor.seconds() + self._drain
        self._readiness.is_stopping = True
        self._beginning.cancel()
        self._notify.stopping()
        for listener, port in self._ports:
            if listener.name != "private":
                await maybeDeferred(port.stopListening)
        last = min(FLUSH_SECONDS, self._drain / 4)
        await self._flush()
        await self._connections.shut_down(max(0, end - last - self._reactor.seconds()))
        # Tuleap waits five seconds, so its endpoint stays open until all clients are closed.
        for listener, port in self._ports:
            if listener.name == "private":
                if IReadDescriptor.providedBy(port):
                    # Accept connections that wait already. They would be reset otherwise.
                    port.doRead()
                await maybeDeferred(port.stopListening)
        await self._site.drain(last)
        self._probe.stop()
        if self._log is not None:
            self._log.sum_up(math.inf)
        self._connections.fanout.stop()
        self._relay.stop()
        if self._snapshots is not None:
            await self._snapshots.stop()

    def _is_well(self) -> None:
        self._notify.is_well()
        if self._log is not None:
            self._log.sum_up(self._reactor.seconds())

    def _flush(self) -> Deferred[None]:
        """Fires when everything that is queued has been sent, or after the longest wait."""
        flushed: Deferred[None] = Deferred()

        def done() -> None:
            if hurry.active():
                hurry.cancel()
            if not flushed.called:
                flushed.callback(None)

        hurry = self._reactor.callLater(min(FLUSH_SECONDS, self._drain / 4), done)
        self._connections.fanout.then(done)
        return flushed

    def _exit_with_0(self) -> None:
        """Stop in order on SIGTERM and SIGQUIT. A second signal ends the process at once."""

        def stop(number: int, frame: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            self._reactor.callFromThread(self._reactor.stop)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGQUIT, stop)

    def _listening(self, port: IListeningPort, listener: Listener) -> None:
        self._ports.append((listener, port))
        self.log.info("{title} listens on {address}", title=listener.title, address=address(port))
        if listener.is_open:
            self.log.emit(
                LogLevel.warn,
                "{name} IS OPEN: EVERY CLIENT THAT CONNECTS TO {address} IS AN OPERATOR",
                name=listener.name,
                address=address(port),
            )
