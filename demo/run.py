"""``make run``: start the server on its defaults and say how to use it.

The key is Tuleap's if PRIVATE_KEY or TULEAPRT_REALTIME__KEY_FILE names it, else one made on the spot and kept
in .run/. A ticket is made with it as Tuleap makes them, and left there for the watchers beside this file.
"""

import argparse
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import jwt

ROOT = Path(__file__).parent.parent
SAMPLE = "tests/fixtures/tuleap/wire/kanban_item_create.body"
TICKET_SECONDS = 1800

GUIDE = """
  Tuleap posts to     http://{private}/message
  browsers connect to ws://{public}/ws   (realm tuleap)

  A ticket of user 102, good for 30 minutes, also in .run/ticket:
  {ticket}

  In another terminal, watch a board:
    make watch TOPIC=org.tuleap.kanban.3 URL=ws://{public}/ws
  and in a third, post what Tuleap posts when a card is created:
    curl -H 'Content-Type: application/json' --data-binary @{sample} http://{private}/message

  Ctrl-C stops the server.
"""


def configured_key(environment: dict[str, str], state: Path) -> str:
    """The key that the environment names; else one of our own, which is put into the environment."""
    if text := environment.get("PRIVATE_KEY"):
        return text.strip()
    if name := environment.get("TULEAPRT_REALTIME__KEY_FILE"):
        return Path(name).read_text().strip().removeprefix("PRIVATE_KEY=")
    key_file = state / "tuleap-realtime-key"
    if not key_file.exists():
        keep(key_file, "PRIVATE_KEY=" + b64encode(secrets.token_bytes(64)).decode())
    environment["TULEAPRT_REALTIME__KEY_FILE"] = str(key_file)
    return key_file.read_text().removeprefix("PRIVATE_KEY=")


def make_ticket(key: str) -> str:
    """What Tuleap gives to a member of the project of the sample."""
    groups = ["@site_active", "@gpig_project_members"]
    claims = {"data": {"user_id": 102, "user_rights": groups}, "exp": time.time() + TICKET_SECONDS}
    return jwt.encode(claims, key, algorithm="HS512")


def keep(path: Path, secret: str) -> None:
    """Write a file that nobody else can read."""
    path.touch(mode=0o600)
    path.write_text(secret)


def follow(server: subprocess.Popen[str], ticket: str) -> None:
    """Show what the server writes, and the guide when it is ready."""
    assert server.stdout is not None
    addresses: dict[str, str] = {}
    for line in server.stdout:
        print(line, end="", flush=True)
        if found := re.search(r"(private|public) site listens on (\S+)", line):
            addresses.setdefault(found[1], found[2])
        if line.rstrip().endswith("tuleaprt is ready"):
            print(GUIDE.format(**addresses, ticket=ticket, sample=SAMPLE), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start tuleaprt on its defaults and say how to use it.")
    parser.add_argument("--config", help="a configuration file, instead of the defaults")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".run", help="where the key and the ticket are kept"
    )
    arguments = parser.parse_args()
    arguments.state.mkdir(mode=0o700, exist_ok=True)
    environment = dict(os.environ)
    try:
        ticket = make_ticket(configured_key(environment, arguments.state))
    except (OSError, ValueError) as error:
        print(f"cannot make a ticket with the configured key: {error}", file=sys.stderr)
        return 1
    keep(arguments.state / "ticket", ticket)
    twistd = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "tuleaprt"]
    if arguments.config:
        twistd += ["--config", arguments.config]
    with subprocess.Popen(twistd, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        # Ctrl-C on a terminal reaches the server too; its last lines are still to be shown.
        signal.signal(signal.SIGINT, lambda *_: server.send_signal(signal.SIGINT))
        follow(server, ticket)
    stopped_by_hand = server.returncode in (-signal.SIGINT, -signal.SIGTERM)
    return 0 if stopped_by_hand else server.returncode


if __name__ == "__main__":
    sys.exit(main())
