"""``make run NODES=3``: Redis, several servers that share a journal in it, and the live page.

Pages and posts reach the servers through one address (balancer.py), as through nginx. A server that ends is
started again after some seconds. Everything ends with Ctrl-C.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from demo.balancer import listen
from demo.libraries import fetch
from demo.live_page import LivePage
from demo.run import FEW, INTERRUPTED, ROOT, configure, keep, make_ticket

PUBLIC, STEP = 2998, 1000
"""The port for browsers, below that for posts. Those of a server are this much above those of the one before.
"""
AGAIN_SECONDS = 8
GUIDE = """
  Look at it: {address}
  Open three windows: each is connected to another server.

{servers}

  End one of them while its window is open, for example: kill -9 {pid}
  The window goes on at another server. The server is started again after {seconds} seconds.

  Tuleap posts to     http://127.0.0.1:{private}/message
  browsers connect to ws://127.0.0.1:{public}/ws   (realm tuleap)

  Ctrl-C stops everything.
"""


class Node:
    """One server. ``on_line`` gets what it writes, in a thread of its own."""

    def __init__(
        self, number: int, port: int, environment: dict[str, str], on_line: Callable[["Node", str], None]
    ) -> None:
        self.number = number
        self.private, self.public = port + 1, port
        self._environment = environment | {
            "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{self.private}:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{self.public}:interface=127.0.0.1"]',
        }
        self._on_line = on_line
        self.process: subprocess.Popen[str]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "tuleaprt"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._on_line(self, line.rstrip())
        process.wait()
        self._on_line(self, "")


class Cluster:
    """All servers, and what is told of them. Its methods run in the reactor's thread."""

    def __init__(
        self, reactor: Any, count: int, port: int, environment: dict[str, str], page: LivePage, key: bytes
    ) -> None:
        self._port = port
        self._reactor = reactor
        self._page = page
        self._key = key
        self._missing = count
        self._is_stopping = False
        self.nodes = [
            Node(number, port + STEP * number, environment, self._tell) for number in range(1, count + 1)
        ]

    def start(self) -> None:
        for port, ports in (
            (self._port + 1, [it.private for it in self.nodes]),
            (self._port, [it.public for it in self.nodes]),
        ):
            listen(self._reactor, port, ports)
        for node in self.nodes:
            node.start()

    def stop(self) -> None:
        self._is_stopping = True
        for node in self.nodes:
            node.process.terminate()
        for node in self.nodes:
            node.process.wait()

    def _tell(self, node: Node, line: str) -> None:
        self._reactor.callFromThread(self._line, node, line)

    def _line(self, node: Node, line: str) -> None:
        if not line:
            self._ended(node)
        elif re.search(r"#(error|critical)|Traceback", line):
            print(f"  server {node.number}: {line}", flush=True)
        elif line.endswith("tuleaprt is ready"):
            print(f"  server {node.number} is ready", flush=True)
            self._missing -= 1
            if self._missing == 0:
                self._guide()

    def _ended(self, node: Node) -> None:
        if not self._is_stopping:
            print(f"  server {node.number} has ended; it is started again", flush=True)
            self._reactor.callLater(AGAIN_SECONDS, self._again, node)

    def _again(self, node: Node) -> None:
        if not self._is_stopping:
            node.start()

    def _guide(self) -> None:
        if not self._page.meet(self._key, f"127.0.0.1:{self._port + 1}", f"127.0.0.1:{self._port}"):
            self._reactor.stop()
            return
        servers = "\n".join(f"  server {it.number}: process {it.process.pid}" for it in self.nodes)
        print(
            GUIDE.format(
                address=self._page.address,
                servers=servers,
                pid=self.nodes[0].process.pid,
                seconds=AGAIN_SECONDS,
                private=self._port + 1,
                public=self._port,
            ),
            flush=True,
        )


def start_redis(folder: Path) -> "subprocess.Popen[bytes]":
    """Redis on a Unix socket in the folder, with its data there."""
    return subprocess.Popen(
        [
            *("redis-server", "--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder)),
            *("--appendonly", "yes", "--save", "", "--unixsocketperm", "700"),
        ],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def problem() -> str:
    """What is missing, and what to type; an empty text: nothing."""
    if shutil.which("redis-server") is None:
        return "several servers need Redis; type: apt-get install redis-server"
    if find_spec("txredisapi") is None or find_spec("hiredis") is None:
        return "several servers need Redis's client; type: .venv/bin/pip install --editable '.[redis]'"
    if os.environ.keys() & {"PRIVATE_KEY", "TULEAPRT_REALTIME__KEY_FILE"}:
        return "a key is configured, and the substitute for Tuleap gives tokens to every client"
    return fetch()


def main() -> int:
    parser = argparse.ArgumentParser(description="Start several servers on one Redis, and the live page.")
    parser.add_argument("count", type=int, choices=range(2, 10), help="how many servers")
    parser.add_argument("--state", type=Path, default=ROOT / ".run", help="where the key is kept")
    parser.add_argument(
        "--ports-from", type=int, default=PUBLIC, metavar="PORT", help="the port for browsers"
    )
    arguments = parser.parse_args()
    try:
        if missing := problem():
            print(missing, file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    page = LivePage.start(dict(os.environ))
    if page is None:
        return 1
    from twisted.internet import reactor

    # A process in the background of a script ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = dict(os.environ)
    arguments.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = configure(None, environment, arguments.state)
    keep(arguments.state / "ticket", make_ticket(config))
    with tempfile.TemporaryDirectory() as folder:
        redis = start_redis(Path(folder))
        environment = FEW | environment
        environment["TULEAPRT_JOURNAL__URL"] = f"unix://{folder}/socket"
        environment["TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS"] = json.dumps(page.origins)
        cluster = Cluster(reactor, arguments.count, arguments.ports_from, environment, page, config.key)
        try:
            cluster.start()
            reactor.run()
            cluster.stop()
        finally:
            redis.terminate()
            redis.wait()
            page.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
