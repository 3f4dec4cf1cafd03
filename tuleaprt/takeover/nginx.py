"""Finds Tuleap's site in the output of ``nginx -T``: where browsers reach ``/local-socket.io``.

The output has each file once, below a line ``# configuration file PATH:``. Includes are expanded here.
Syntax: nginx's *Beginner's Guide*, "Configuration File's Structure". Blocks of other languages (Lua) are not
understood.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import NamedTuple

LOCATION = "/local-socket.io"
HTTPS = 443

_FILE = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<mark>[{};])
    |(?P<word>(?:\$\{[^}]*\}|[^\s{};])+)""",
    re.VERBOSE | re.DOTALL,
)


class Site(NamedTuple):
    """``name`` is the host that browsers ask for; ``address`` and ``port`` are where nginx listens;
    ``target`` is the value of ``proxy_pass``.
    """

    name: str
    address: str
    port: int
    is_tls: bool
    target: str

    @property
    def passes_to(self) -> int | None:
        """The port of this machine to which the pages are passed on; None: they go elsewhere."""
        match = re.fullmatch(r"http://(?:localhost|127\.0\.0\.1):([0-9]{1,5})/?", self.target)
        return int(match[1]) if match else None

    @property
    def url(self) -> str:
        """As browsers write it: ``https://tuleap.example.com``."""
        is_usual = self.port == (HTTPS if self.is_tls else 80)
        return f"http{'s' if self.is_tls else ''}://{self.name}{'' if is_usual else f':{self.port}'}"


class Directive(NamedTuple):
    """``block`` is empty for a directive that ends with a semicolon."""

    name: str
    values: list[str]
    block: list["Directive"]


def site(dump: str) -> Site | None:
    """The first site that passes on ``/local-socket.io``. A site with TLS goes before the others."""
    found = [it for server in _servers(dump) if (it := _site(server))]
    return next((it for it in found if it.is_tls), found[0] if found else None)


def _servers(dump: str) -> Iterator[Directive]:
    _, *parts = _FILE.split(dump)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    if not files:
        return
    main = next(iter(files))
    for outer in _expanded(_read(files[main]), files, PurePath(main).parent):
        if outer.name == "http":
            yield from (it for it in outer.block if it.name == "server")


def _read(text: str) -> list[Directive]:
    """Braces that do not match end the reading early."""
    top: list[Directive] = []
    stack, words = [top], list[str]()
    for token in _TOKEN.finditer(text):
        if token["quoted"] is not None:
            words.append(token["quoted"][1:-1])
        elif token["word"] is not None:
            words.append(token["word"])
        elif token["mark"] == "}":
            if len(stack) == 1:
                break
            stack.pop()
            words = []
        elif token["mark"] is not None and words:
            name, *values = words
            stack[-1].append(Directive(name, values, []))
            if token["mark"] == "{":
                stack.append(stack[-1][-1].block)
            words = []
    return top


def _expanded(
    directives: list[Directive], files: Mapping[str, str], folder: PurePath, depth: int = 0
) -> list[Directive]:
    found: list[Directive] = []
    for it in directives:
        if it.name == "include" and it.values and depth < 10:
            pattern = str(folder / it.values[0])
            for path, text in files.items():
                if fnmatchcase(path, pattern):
                    found += _expanded(_read(text), files, folder, depth + 1)
        else:
            found.append(it._replace(block=_expanded(it.block, files, folder, depth)))
    return found


def _site(server: Directive) -> Site | None:
    for location in server.block:
        is_it = location.name == "location" and location.values[-1:] in ([LOCATION], [f"{LOCATION}/"])
        targets = [it.values[0] for it in location.block if it.name == "proxy_pass" and it.values]
        if is_it and targets:
            name = next((it.values[0] for it in server.block if it.name == "server_name" and it.values), "")
            listens = [it.values for it in server.block if it.name == "listen" and it.values]
            reached = [it for values in listens if (it := _reached(values))]
            address, port, is_tls = max(reached, key=lambda it: it[2], default=("127.0.0.1", 80, False))
            # "_" and patterns are no names, and nginx answers any name if this is its only site.
            is_name = re.fullmatch(r"[A-Za-z0-9.-]*[A-Za-z0-9][A-Za-z0-9.-]*", name) is not None
            return Site(name if is_name else "localhost", address, port, is_tls, targets[0])
    return None


def _reached(values: list[str]) -> tuple[str, int, bool] | None:
    """Address, port and TLS of a ``listen``; None for a Unix socket."""
    where, is_tls = values[0], "ssl" in values
    if where.startswith("unix:"):
        return None
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:\[\]]*[^:\[\]0-9][^:\[\]]*)(?::|\Z))?([0-9]*)", where)
    if match is None:
        return None
    host = (match[1] or "").strip("[]")
    here = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    return here.get(host, host), int(match[2] or 80), is_tls
