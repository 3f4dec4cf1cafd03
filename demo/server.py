"""A tiny Tuleap for the live page. Only for looking at tuleaprt, and only on this machine.

It gives a ticket to whoever asks for one, so it has a key of its own, made for it, and does not start beside
a configured one; it listens on a loopback address and answers to no other name.

    python -m demo.server [--listen 127.0.0.1:8080] [--cards 200]

It needs autobahn-js, and does not start without. It says where it listens, and then waits for a line of JSON
on its standard input: the addresses of the real-time server, and the key, as
{"private": "127.0.0.1:2999", "public": "127.0.0.1:2998", "key": "…"}. It says that the page works, or ends.
It ends with that input.
"""

import argparse
import json
import os
import sys
from typing import Any

from twisted.internet import stdio
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.web.server import Site

from demo.autobahn_js import AUTOBAHN, NEEDS_NETWORK
from demo.pages import Pages
from demo.stand_in import CannotStart, StandIn, check


class Orders(LineOnlyReceiver):
    """The standard input: where the server is."""

    delimiter = b"\n"

    def __init__(self, reactor: Any, stand_in: StandIn) -> None:
        self._reactor = reactor
        self._stand_in = stand_in

    def lineReceived(self, line: bytes) -> None:
        try:
            self._stand_in.meet(**json.loads(line))
            print("page works", flush=True)
        except (CannotStart, ValueError, TypeError) as error:
            print(f"cannot use the server: {error}", file=sys.stderr, flush=True)
            self._reactor.stop()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        if self._reactor.running:
            self._reactor.stop()


def listen(reactor: Any, stand_in: StandIn, host: str, port: int) -> int:
    """Serve the page there; the port that it has become."""
    names: list[str] = []
    site = Site(Pages(stand_in, names))
    site.displayTracebacks = False
    site.noisy = False
    actual: int = reactor.listenTCP(port, site, interface=host).getHost().port
    names += [f"{name}:{actual}" for name in (host, "localhost")]
    return actual


def main() -> int:
    parser = argparse.ArgumentParser(description="A tiny Tuleap for the live page.")
    parser.add_argument("--listen", help="a loopback address; else port 8080, or another that is free")
    parser.add_argument("--cards", type=int, default=0, help="how many more cards the board has")
    arguments = parser.parse_args()
    from twisted.internet import reactor

    host, _, port = (arguments.listen or "127.0.0.1:8080").rpartition(":")
    stand_in = StandIn(reactor, arguments.cards)
    try:
        check(os.environ, host)
        if not AUTOBAHN.is_file():
            raise CannotStart(NEEDS_NETWORK)
        try:
            actual = listen(reactor, stand_in, host, int(port))
        except CannotListenError:
            if arguments.listen:
                raise
            actual = listen(reactor, stand_in, host, 0)
    except (CannotStart, CannotListenError) as error:
        print(f"the page does not start: {error}", file=sys.stderr)
        return 1
    print(f"page listens on http://{host}:{actual}", flush=True)
    stdio.StandardIO(Orders(reactor, stand_in))
    reactor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
