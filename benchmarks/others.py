"""The other servers that ``make bench PEERS=…`` names, as far as they are installed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import NamedTuple

from brokers import Broker, mosquitto, nats
from load import Started
from peer import Peer
from router import described
from server import free_ports

DAEMONS = "/usr/sbin"
"""Debian installs both here, which is only on root's PATH."""
UWS = "uws"
NO_UWS = "uws has no package: UWS=FILE describes a server made with it, in a file as for PEER="
NO_VERSION = "?"


class Product(NamedTuple):
    """``asks``: the option with which the program prints its version. Debian's package has its name."""

    title: str
    program: str
    asks: str
    broker: Callable[[str, Path, tuple[int, int]], Broker]


PRODUCTS = {
    "nats": Product("NATS", "nats-server", "--version", nats),
    "mosquitto": Product("Mosquitto", "mosquitto", "-h", mosquitto),
}
NAMES = (*PRODUCTS, UWS)


class Other(NamedTuple):
    """``start`` starts it for one load on a core."""

    title: str
    start: Callable[[int | None], AbstractContextManager[Started]]


def names(text: str) -> list[str]:
    """
    Raises:
        ValueError: a name is not known.
    """
    found = list(dict.fromkeys(text.split()))
    for name in found:
        if name not in NAMES:
            raise ValueError(f"no peer is named {name!r}: {', '.join(NAMES)}")
    return found


def present(named: Sequence[str], folder: Path) -> tuple[list[Other], list[str]]:
    """Those that can be measured, and a line for each of the others.

    Raises:
        Failed: the file of UWS= does not describe a server.
    """
    found, missing = [], []
    for name in named:
        it = _of_file() if name == UWS else _of_package(name, PRODUCTS[name], folder)
        if isinstance(it, Other):
            found.append(it)
        else:
            missing.append(it)
    return found, missing


def path_of(product: Product) -> str | None:
    return shutil.which(product.program, path=f"{os.environ.get('PATH', '')}:{DAEMONS}")


def _of_package(name: str, product: Product, folder: Path) -> Other | str:
    program = path_of(product)
    if program is None:
        return f"{name} is not installed: apt-get install {product.program}"

    def start(core: int | None) -> AbstractContextManager[Started]:
        return Peer(product.broker(program, folder, free_ports(Random())), core)

    return Other(f"{product.title} {_version(program, product.asks)}", start)


def _version(program: str, option: str) -> str:
    # The exit status of Mosquitto's help is not 0.
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found else NO_VERSION


def _of_file() -> Other | str:
    path = os.environ.get("UWS")
    if not path:
        return NO_UWS
    router = described(Path(path))
    return Other(router.name, lambda core: Peer(router, core))
