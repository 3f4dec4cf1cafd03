"""``make run``: starts the server on its defaults, and a substitute for Tuleap with the live page; says how
to use them.

The key is Tuleap's if a file, PRIVATE_KEY or TULEAPRT_REALTIME__KEY_FILE names it. Otherwise it is made
and kept in .run/. A token is made with it as Tuleap does, and kept there for ``make watch``.
"""

import argparse
import json
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

from demo.libraries import fetch
from demo.live_page import LivePage
from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.errors import ConfigError

ROOT = Path(__file__).parent.parent
TICKET_SECONDS = 1800
INTERRUPTED = 130

PAGE = """
  Look at it: {address}
"""
NO_PAGE = """
  The server runs, but {problem}
"""
GUIDE = """
  Tuleap posts to     http://{private}/message
  browsers connect to ws://{public}/ws   (realm {realm})

  A token of user 102, good for 30 minutes, also in .run/ticket:
  {ticket}

  In another terminal, watch a board:
    make watch TOPIC=org.tuleap.kanban.3 URL=ws://{public}/ws
  and in a third, post what Tuleap posts when a card is created:
    make post {options}URL=http://{private}

  Ctrl-C stops the server.
"""
ORDINARY = re.compile(r" \[(-|[^\]]*#info)\] ")
"""A line of the log that is no warning."""

SEEDED = re.compile(r"audit: operator \d+ session=- seed ")
"""The live page has told the server the results of its campaign."""

FEW = {"TULEAPRT_LIMITS__MAX_CONNECTIONS": "1000", "TULEAPRT_LIMITS__MAX_UNAUTHENTICATED": "200"}
"""So few clients need no more open files than a user has."""


def configure(path: Path | None, environment: dict[str, str], state: Path) -> Config:
    """The configuration. Without a file and without a key in the environment, it gets a new key.

    Raises:
        ConfigError: the configuration is wrong.
    """
    if path is None and not environment.keys() & {"PRIVATE_KEY", "TULEAPRT_REALTIME__KEY_FILE"}:
        key_file = state / "tuleap-realtime-key"
        if not key_file.exists():
            keep(key_file, "PRIVATE_KEY=" + b64encode(secrets.token_bytes(64)).decode())
        environment["TULEAPRT_REALTIME__KEY_FILE"] = str(key_file)
    return load(path, environment)


def make_ticket(config: Config) -> str:
    """The token that Tuleap gives to a member of the sample's project."""
    groups = ["@site_active", "@gpig_project_members"]
    claims = {"data": {"user_id": 102, "user_rights": groups}, "exp": time.time() + TICKET_SECONDS}
    return jwt.encode(claims, config.key, algorithm=config.realtime.algorithms[0], sort_headers=False)


def keep(path: Path, secret: str) -> None:
    """Write a file that other users cannot read."""
    path.touch(mode=0o600)
    path.write_text(secret)


def follow(
    server: subprocess.Popen[str], page: LivePage | None, problem: str, key: bytes, **guide: str
) -> None:
    """Show the guide when the server is ready, and then the server's output. Of the start, only warnings and
    errors are shown; all of it, if the server does not become ready.
    """
    assert server.stdout is not None
    is_ready, quiet = False, list[str]()
    for line in server.stdout:
        if found := re.search(r"(private|public) site listens on (\S+)", line):
            guide.setdefault(found[1], found[2])
        if (not is_ready and ORDINARY.search(line)) or SEEDED.search(line):
            quiet.append(line)
        else:
            print(line, end="", flush=True)
        if line.rstrip().endswith("tuleaprt is ready"):
            is_ready = True
            if page is not None and page.meet(key, guide["private"], guide["public"]):
                print(PAGE.format(address=page.address), flush=True)
            elif problem:
                print(NO_PAGE.format(problem=problem), flush=True)
            print(GUIDE.format(**guide), flush=True)
    if not is_ready:
        print(*quiet, sep="", end="", flush=True)


def pass_on_the_first_signal(server: subprocess.Popen[str]) -> None:
    """Stop the server when this process is told to stop. Its last lines are still shown."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(*_: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        server.send_signal(signal.SIGINT)

    for each in signals:
        signal.signal(each, stop)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start tuleaprt on its defaults and say how to use it.")
    parser.add_argument("--config", type=Path, help="a configuration file, instead of the defaults")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".run", help="where the key and the ticket are kept"
    )
    arguments = parser.parse_args()
    environment = dict(os.environ)
    page, problem = None, ""
    try:
        arguments.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = configure(arguments.config, environment, arguments.state)
        ticket = make_ticket(config)
        keep(arguments.state / "ticket", ticket)
    except (ConfigError, OSError) as error:
        print(f"cannot start:\n{error}", file=sys.stderr)
        return 1
    twistd = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "tuleaprt"]
    if arguments.config:
        twistd += ["--config", str(arguments.config.resolve())]
    else:
        environment = FEW | environment
    # The substitute gives tokens to every client, so it is not started beside Tuleap's key.
    if arguments.config is None and not os.environ.keys() & {"PRIVATE_KEY", "TULEAPRT_REALTIME__KEY_FILE"}:
        try:
            problem = fetch()
        except KeyboardInterrupt:
            return INTERRUPTED
        page = None if problem else LivePage.start(dict(os.environ))
    if page is not None:
        environment.setdefault("TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS", json.dumps(page.origins))
    # A process in the background of a script ignores SIGINT, and its children would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # In a session of its own, because Ctrl-C on a terminal would reach the server twice otherwise.
    with subprocess.Popen(
        twistd, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        pass_on_the_first_signal(server)
        guide = {"ticket": ticket, "realm": config.realtime.realm}
        options = f"CONFIG={arguments.config} " if arguments.config else ""
        follow(server, page, problem, config.key, options=options, **guide)
    if page is not None:
        page.stop()
    stopped_by_hand = server.returncode == -signal.SIGINT
    return 0 if stopped_by_hand else server.returncode


if __name__ == "__main__":
    sys.exit(main())
