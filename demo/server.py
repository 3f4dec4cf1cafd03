"""A substitute for Tuleap, for the live page. It is for trying tuleaprt on one machine only.

It gives a token to every client. Therefore it has a key of its own, does not start beside a configured
one, listens on a loopback address, and answers to no other host name.

    python -m demo.server [--listen 127.0.0.1:8080] [--cards 200] [--empty]

It needs autobahn-js, socket.io-client and the client, and does not start without. It prints its address, and
then waits for a line of JSON on its standard input: the addresses of the real-time server, and the key, as
{"private": "127.0.0.1:2999", "public": "127.0.0.1:2998", "key": "…"}. It says that the page works, or ends.
It ends when its standard input is closed.
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

from demo.libraries import LIBRARIES, NEEDS_NETWORK, build
from demo.pages import Pages
from demo.substitute import CannotStart, Substitute, check


class Orders(LineOnlyReceiver):
    """Reads from the standard input where the server is."""

    delimiter = b"\n"

    def __init__(self, reactor: Any, substitute: Substitute) -> None:
        self._reactor = reactor
        self._substitute = substitute

    def lineReceived(self, line: bytes) -> None:
        try:
            self._substitute.meet(**json.loads(line))
            print("page works", flush=True)
        except (CannotStart, ValueError, TypeError) as error:
            print(f"cannot use the server: {error}", file=sys.stderr, flush=True)
            self._reactor.stop()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        if self._reactor.running:
            self._reactor.stop()


def listen(reactor: Any, substitute: Substitute, host: str, port: int) -> int:
    """Serve the page, and return the port."""
    names: list[str] = []
    site = Site(Pages(substitute, names))
    site.displayTracebacks = False
    site.noisy = False
    actual: int = reactor.listenTCP(port, site, interface=host).getHost().port
    names += [f"{name}:{actual}" for name in (host, "localhost")]
    return actual


def main() -> int:
    parser = argparse.ArgumentParser(description="A tiny Tuleap for the live page.")
    parser.add_argument("--listen", help="a loopback address; else port 8080, or another that is free")
    parser.add_argument("--cards", type=int, default=0, help="how many more cards the board has")
    parser.add_argument("--empty", action="store_true", help="the board has no cards, the campaign no tests")
    arguments = parser.parse_args()
    from twisted.internet import reactor

    host, _, port = (arguments.listen or "127.0.0.1:8080").rpartition(":")
    substitute = Substitute(reactor, arguments.cards, is_empty=arguments.empty)
    try:
        check(os.environ, host)
        if not all(file.is_file() for file in LIBRARIES.values()):
            raise CannotStart(NEEDS_NETWORK)
        if problem := build():
            raise CannotStart(problem)
        try:
            actual = listen(reactor, substitute, host, int(port))
        except CannotListenError:
            if arguments.listen:
                raise
            actual = listen(reactor, substitute, host, 0)
    except (CannotStart, CannotListenError) as error:
        print(f"the page does not start: {error}", file=sys.stderr)
        return 1
    print(f"page listens on http://{host}:{actual}", flush=True)
    stdio.StandardIO(Orders(reactor, substitute))
    reactor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
