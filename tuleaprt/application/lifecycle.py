"""The service that twistd runs: it listens, and stops in an order that loses as little as it can."""

import gc
import math
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from tuleaprt.application.health import Probe, Readiness
from tuleaprt.configuration.reload import KeyFile, Reload
from tuleaprt.operations.logs import Log
from tuleaprt.operations.systemd import Notify
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.listening import OTHER_FILES, Listener, address, file_limit_for
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.web.site import BoundedSite

FLUSH_SECONDS = 2
"""How long a stop waits, at most, for posts that are under way, and then for what is queued to be sent."""

GARBAGE_THRESHOLDS = (10_000, 10, 10)
"""Python looks for cycles when so many more objects were made than freed; by default it is 700."""


def not_started(problems: Iterable[str]) -> SystemExit:
    return SystemExit("\n".join(("tuleaprt does not start:", *problems)))


class TuleaprtService(Service):
    """Starts listening, and stops in an order that loses as little as it can, within ``drain`` seconds.

    Stopping: first browsers cannot connect any more; then what is queued is sent, and each browser is told to
    come back (1012), many of them over the time that is left; when all are gone, the posts that are under way
    are answered, and no more are taken.
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
        self._ports: list[tuple[Listener, IListeningPort]] = []
        self._log = log
        probe.on_ok = self._is_well

    def setServiceParent(self, parent: Any) -> None:
        # twistd asks its application for the observer when all services are made, and before it logs.
        # The option --logger takes precedence.
        if self._log is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log)
        super().setServiceParent(parent)

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
            raise not_started(problems)

    def startService(self) -> None:
        super().startService()
        # Each look walks over all that thousands of connections and the history consist of, and what a post
        # leaves behind has no cycles. What is there now stays to the end.
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        self.raise_file_limit()
        for follower in self._background:
            follower.start()
        self._readiness.is_listening = True
        self._reactor.callWhenRunning(self._running)

    def _running(self) -> None:
        """A signal that comes before this is Twisted's to answer, so nobody is told before it."""
        self._exit_with_0()
        self._probe.start()
        self._notify.ready()
        self.log.info("tuleaprt is ready")

    def raise_file_limit(self) -> None:
        """Let as many connect as the connections takes, or say that they cannot."""
        open_to_clients = {it.name for it in self._listeners} & self._unauthenticated_limits.keys()
        unauthenticated = sum(self._unauthenticated_limits[name].most for name in open_to_clients)
        wanted = self._connections.max_connections + unauthenticated + OTHER_FILES
        if (files := file_limit_for(wanted)) < wanted:
            self.log.emit(
                LogLevel.warn,
                "only {files} files may be open, and [limits] max_connections and max_unauthenticated want "
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
        self._notify.stopping()
        for listener, port in self._ports:
            if listener.name != "private":
                await maybeDeferred(port.stopListening)
        last = min(FLUSH_SECONDS, self._drain / 4)
        await self._flush()
        await self._connections.shut_down(max(0, end - last - self._reactor.seconds()))
        # Tuleap waits five seconds, so its port is open until there is nobody left to wait for.
        for listener, port in self._ports:
            if listener.name == "private":
                if IReadDescriptor.providedBy(port):
                    # Who has connected already would be reset.
                    port.doRead()
                await maybeDeferred(port.stopListening)
        await self._site.drain(last)
        self._probe.stop()
        if self._log is not None:
            self._log.sum_up(math.inf)
        self._connections.fanout.stop()
        self._relay.stop()

    def _is_well(self) -> None:
        self._notify.is_well()
        if self._log is not None:
            self._log.sum_up(self._reactor.seconds())

    def _flush(self) -> Deferred[None]:
        """Fires when what is queued has been sent, or that takes too long."""
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
        """On SIGTERM and SIGQUIT, which would end the process otherwise; a second one ends it at once."""

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
                "{name} IS OPEN: WHOEVER CONNECTS TO {address} WITHOUT A TICKET IS AN OPERATOR",
                name=listener.name,
                address=address(port),
            )
