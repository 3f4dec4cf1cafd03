"""``tuleaprt post``: what Tuleap does when something has changed."""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from tuleaprt.cli.answers import read_json, shortened
from tuleaprt.cli.http import request
from tuleaprt.cli.screen import printable
from tuleaprt.cli.settings import add_config, configuration, private_url, read_secret
from tuleaprt.errors import CommandFailed

OK = 200


class Published(msgspec.Struct):
    """The answer of 200."""

    publication: int


class Refused(msgspec.Struct):
    """The answer of any other status."""

    error: dict[str, Any]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "post",
        help="post a message as Tuleap does",
        description="Post a message as Tuleap does when something has changed, and print the status and the"
        " answer. It is published: who may see it sees it.",
    )
    parser.add_argument("file", metavar="FILE", help="the body, in JSON; - is stdin")
    parser.add_argument(
        "--url",
        metavar="URL",
        help="the private site, http://host:port (default: the first tcp endpoint of [listen] private)",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        help="a file with the secret that posts must carry (default: [realtime] post_secret)",
    )
    add_config(parser)
    parser.set_defaults(command=post)


def post(arguments: argparse.Namespace) -> int:
    config = configuration(arguments, with_key=False)
    url = private_url(arguments.url, config, "--url")
    if arguments.secret_file:
        secret = read_secret(arguments.secret_file)
    else:
        secret = config.post_secret.decode("latin-1")
    answer = request(url, "POST", "/message", bearer=secret, body=_read(arguments.file))
    print(answer.status, printable(answer.reason))
    print(printable(shortened(answer.body.rstrip("\n"))))
    if answer.status == OK:
        read_json(answer.body, Published, url)
        return 0
    read_json(answer.body, Refused, url)
    return 1


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandFailed(f"{name}: {error.strerror}") from None
