"""Watch a board from a terminal.

    TICKET=<token> python demo/watch.py [topic] [url]

Without TICKET it takes the one that ``make run`` left in .run/ticket.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from autobahn.twisted.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import CloseDetails, EventDetails, SessionDetails, SubscribeOptions

# Autobahn turns sys.stdout into its log.
TERMINAL = sys.stdout
TICKET_FILE = Path(__file__).parent.parent / ".run" / "ticket"


class Watcher(ApplicationSession):
    """Prints each event of one topic until its session ends."""

    def onConnect(self) -> None:
        self.join(self.config.realm, ["ticket"], "")

    def onChallenge(self, challenge: object) -> str:
        ticket: str = self.config.extra["ticket"]
        return ticket

    async def onJoin(self, details: SessionDetails) -> None:
        topic = self.config.extra["topic"]
        await self.subscribe(self.print_event, topic, options=SubscribeOptions(details=True))
        print(f"user {details.authid} watches {topic}", file=TERMINAL, flush=True)

    def print_event(self, *, cmd: str, data: Any, details: EventDetails) -> None:
        print(details.publication, cmd, json.dumps(data, ensure_ascii=False), file=TERMINAL, flush=True)

    def onLeave(self, details: CloseDetails) -> None:
        print(f"the session has ended: {details.reason}", file=TERMINAL, flush=True)
        self.disconnect()

    def onDisconnect(self) -> None:
        from twisted.internet import reactor

        if reactor.running:
            reactor.stop()


def main() -> None:
    given = dict(enumerate(sys.argv[1:]))
    topic, url = given.get(0, "org.tuleap.kanban.3"), given.get(1, "ws://127.0.0.1:2998/ws")
    ticket = os.environ.get("TICKET") or (TICKET_FILE.read_text() if TICKET_FILE.exists() else "")
    if not ticket:
        sys.exit("no ticket: set TICKET, or start the server with `make run` first")
    runner = ApplicationRunner(
        url,
        "tuleap",
        extra={"ticket": ticket, "topic": topic},
        serializers=[JsonSerializer()],  # type: ignore[list-item]
    )
    try:
        runner.run(Watcher, log_level="critical")
    except Exception as error:
        print(f"cannot connect to {url}: {error}", file=TERMINAL)
        sys.exit(1)


if __name__ == "__main__":
    main()
