"""Tests the server for a long time: thousands of windows connect and disconnect while posts are made, and
every delivery is checked. A third of the windows are pages over socket.io.

First the server is stopped, killed and started again. Then it runs to the end, with quiet points at which
everything due must have arrived, and memory and open files are counted. The exit status is 1 if an event
was lost, doubled, misordered, shown to a user without the right, or refused without reason, or if the
server has grown.
"""

import argparse
import asyncio
import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from churn import Churn
from connection import UPGRADE, Gone
from crowd import Crowd
from expected import World
from poster import Poster
from router import ROOT, Failed
from server import Server, free_ports, resident_kib
from summary import Sample, summary

POSTS_PER_SECOND = 20
HAPPENINGS = 150
"""This many windows cause one event of churn each second."""
OPTIONS = {
    # It is full before the warm-up is over. Otherwise memory would grow.
    "TULEAPRT_HISTORY__BYTES": str(1 << 20),
    # So that slow subscribers are noticed early.
    "TULEAPRT_LIMITS__MAX_OUTBOX": str(1 << 18),
    # A page that has connected again is asked for a token this soon.
    "TULEAPRT_SOCKETIO__REMINDER": "0.1",
}
STOP_SECONDS, SETTLE_SECONDS = 60, 20
EXIT_CODES = {signal.SIGTERM: 0, signal.SIGKILL: -signal.SIGKILL}
SURPLUS = 3
# -P: the server must not find the modules of this folder.
TWISTD = (sys.executable, "-P", str(ROOT / "benchmarks/collecting.py"))
ROUND_SECONDS = (1.0, 40.0)
WARM_SECONDS = 60
"""The warm-up lasts this long at most, and a sixth of the whole. Each connection is pinged for the first
time in it, and caches fill.
"""


class Plan(NamedTuple):
    seconds: float
    clients: int
    seed: int


class Soak:
    """One run. ``samples`` are of the server's last life, the first after a round of warming up."""

    def __init__(self, plan: Plan, server: Server) -> None:
        random = Random(plan.seed)
        self.world = World()
        self.samples: list[Sample] = []
        self.base = self.left = 0
        self.took = 0.0
        self._plan = plan
        self._server = server
        self._crowd = Crowd(self.world, server.key, server.ports, random)
        self._poster = Poster(self._crowd, server.ports[1], POSTS_PER_SECOND)
        self._churn = Churn(self._crowd, self._poster, max(5, plan.clients / HAPPENINGS))
        self._patience = 60 + plan.clients / 50

    async def run(self) -> None:
        began = time.monotonic()
        # Files that were opened at the start are closed after the first request.
        await self._collect()
        self._poster.close()
        await asyncio.sleep(1)
        self.base = self._open_files()
        self._crowd.populate(self._plan.clients)
        self._crowd.begin()
        self._say("connecting")
        await self._until_all_are_in()
        running = [asyncio.create_task(it.run()) for it in (self._poster, self._churn)]
        length = min(max(self._plan.seconds / 10, ROUND_SECONDS[0]), ROUND_SECONDS[1])
        for by in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.sleep(length / 2)
            await self._restart(by)
            await asyncio.sleep(length / 2)
            await self._quiet()
        warm = time.monotonic() + min(self._plan.seconds / 6, WARM_SECONDS)
        while time.monotonic() < warm:
            await self._round(length)
        # The last sample of the warm-up is the reference.
        del self.samples[:-1]
        while len(self.samples) < 2 or time.monotonic() - began < self._plan.seconds:
            await self._round(length)
            for it in running:
                if it.done():
                    it.result()
        for it in running:
            it.cancel()
        await self._close()
        self.took = time.monotonic() - began

    async def _round(self, length: float) -> None:
        end = time.monotonic() + length
        await asyncio.sleep(length / 4)
        await self._churn.slow_reader()
        await asyncio.sleep(max(0, end - time.monotonic()))
        self.samples.append(await self._quiet())

    async def _restart(self, by: signal.Signals) -> None:
        self._say(f"restarting, {by.name}")
        self._crowd.stopping(by.name)
        code = await asyncio.to_thread(self._server.stop, by, STOP_SECONDS)
        # A stop that takes too long ends in SIGKILL.
        if code != EXIT_CODES[by]:
            self.world.fault("restart", f"after {by.name} the server exits with {code}")
        async with self._poster.lock:
            self._poster.close()
            await self._crowd.stopped(STOP_SECONDS)
        await asyncio.to_thread(self._server.start)
        self._crowd.is_restarting = ""
        self.world.counts[by.name] += 1

    async def _quiet(self) -> Sample:
        """A quiet point: everything due has arrived, or is lost."""
        self._churn.is_held = True
        await self._until_all_are_in()
        async with self._poster.lock:
            await self._poster.beacons()
            await self._barriers()
            for _ in range(SURPLUS):
                await self._refused()
            files = await self._settled_files(self.base + self._plan.clients + 1)
            await self._collect()
            sample = Sample(resident_kib(self._server.pid), files, self.world.counts["sessions"])
            self._forget()
        self._churn.is_held = False
        self._say(f"quiet: {sample.kib / 1024:,.1f} MiB, {files} files, {self.world.faults.total()} faults")
        return sample

    async def _until_all_are_in(self) -> None:
        crowd = self._crowd

        def are_in() -> bool:
            return not any(it.is_busy or not it.is_open for it in crowd.windows)

        if not await self._until(are_in, self._patience):
            missing = sum(not it.is_open for it in crowd.windows)
            busy = sum(it.is_busy for it in crowd.windows)
            self.world.fault(
                "no answer", f"after {self._patience} s {missing} windows are out, {busy} still wait"
            )

    async def _barriers(self) -> None:
        async def barrier(wait: Awaitable[None]) -> None:
            try:
                async with asyncio.timeout(self._patience):
                    await wait
            except (Gone, TimeoutError):
                self.world.fault("no answer", "a window was not answered at a quiet point")

        waits = [it.connection.barrier() for it in self._crowd.windows if it.is_open and it.connection]
        await asyncio.gather(*map(barrier, waits))
        self.world.counts["quiet points"] += 1

    async def _collect(self) -> None:
        os.kill(self._server.pid, signal.SIGUSR1)
        # It is answered after the collection.
        await self._poster.metric("connections")

    async def _refused(self) -> None:
        """Open one connection more than the limit."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._crowd.port)
        writer.write(UPGRADE.format(self._crowd.port).encode())
        status = (await reader.readline())[9:12].decode()
        if status != "503":
            self.world.fault("too many", f"a connection too many was answered {status}")
        writer.close()
        self.world.counts["too many"] += 1

    def _forget(self) -> None:
        for it in self._crowd.windows:
            it.reader.forget()
            it.user.groups.forget()
        self.world.forget()

    async def _close(self) -> None:
        """All windows disconnect. The server must be as before they connected."""
        self._say("closing")
        self.world.counts["internal errors"] = int(await self._poster.metric("internal_errors_total"))
        await self._crowd.leave(self._patience)
        self._poster.close()
        self.left = await self._settled_files(self.base)
        code = await asyncio.to_thread(self._server.stop, signal.SIGTERM, STOP_SECONDS)
        if code != 0:
            self.world.fault("restart", f"at the end the server exits with {code}")
        if self._server.tracebacks or self.world.counts["internal errors"]:
            self.world.fault("server", f"{self._server.tracebacks} tracebacks in its log")

    async def _settled_files(self, wanted: int) -> int:
        """The number of the server's open files, when it is as wanted or no longer changes."""
        if not await self._until(lambda: self._open_files() == wanted, SETTLE_SECONDS):
            self.world.fault("files", f"the server has {self._open_files()} open, and not {wanted}")
        return self._open_files()

    def _open_files(self) -> int:
        return len(list(Path(f"/proc/{self._server.pid}/fd").iterdir()))

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        return True

    def _say(self, text: str) -> None:
        print(f"  {text} …", file=sys.stderr)


def arguments() -> Plan:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600, metavar="S", help="how long, about")
    parser.add_argument("--clients", type=int, default=10_000, metavar="N", help="how many windows")
    parser.add_argument("--seed", type=int, default=None, help="to have the same choices made again")
    given = parser.parse_args()
    if given.clients < 20:
        parser.error("it takes 20 clients to have some of every kind")
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    return Plan(given.seconds, given.clients, seed)


def main() -> int:
    plan = arguments()
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The server inherits it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    # Either signal stops the server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The ports do not depend on the seed: two runs at a time must not choose the same.
    print(f"seed {plan.seed}, {plan.clients:,} clients, {plan.seconds:.0f} s", file=sys.stderr)
    try:
        private, public = (f'["tcp:{port}:interface=127.0.0.1"]' for port in free_ports(Random(os.getpid())))
        options = {
            **OPTIONS,
            "TULEAPRT_LIMITS__MAX_CONNECTIONS": str(plan.clients),
            "TULEAPRT_LISTEN__PRIVATE": private,
            "TULEAPRT_LISTEN__PUBLIC": public,
        }
        with Server(None, options=options, twistd=TWISTD) as server:
            soak = Soak(plan, server)
            asyncio.run(soak.run())
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("soak:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    text, is_good = summary(soak.world, soak.samples, soak.base, soak.left, soak.took)
    print(f"seed {plan.seed}, {plan.clients:,} clients", text, sep="\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
