"""The substitute as a whole: its state, the real-time server that it posts to, and where it may run."""

import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import ensureDeferred

from demo.api import Api
from demo.posting import Poster
from demo.sample import CAMPAIGN, Tuleap
from demo.users import operator_ticket


class CannotStart(Exception):
    """Why the substitute does not start."""


def check(environment: Mapping[str, str], host: str) -> None:
    """
    Raises:
        CannotStart: the environment has Tuleap's key, or other machines could reach the address.
    """
    if environment.keys() & {"PRIVATE_KEY", "TULEAPRT_REALTIME__KEY_FILE"}:
        raise CannotStart(
            "a key is configured, and the substitute for Tuleap gives tokens to every client: "
            "it uses only a key of its own"
        )
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise CannotStart(
            f"{host} is not a loopback address: the substitute for Tuleap is for this machine only"
        )


class Substitute:
    """The substitute, once it knows the real-time server."""

    def __init__(self, reactor: Any, cards: int, *, is_empty: bool = False) -> None:
        self.tuleap = Tuleap(cards, is_empty=is_empty)
        self.public = ""
        self.poster: Poster | None = None
        self.api: Api | None = None
        self._reactor = reactor

    def meet(self, private: str, public: str, key: str) -> None:
        """Set the server. A second call names another server, or the same after a restart."""
        for address in (private, public):
            check({}, address.rpartition(":")[0])
        self.public = public
        self.poster = Poster(self._reactor, private, time.time)
        self.api = Api(self.tuleap, key.encode(), time.time)
        token = operator_ticket(key.encode(), time.time())
        ensureDeferred(self.poster.seed(CAMPAIGN, self.tuleap.campaign.as_seed(), token))

    def addresses(self) -> dict[str, str]:
        """Where the page connects: ``url`` and ``realm`` of WAMP, ``socketio`` of Tuleap's pages."""
        return {
            "url": f"ws://{self.public}/ws",
            "realm": "tuleap",
            "socketio": f"http://{self.public}",
        }

    def security_policy(self) -> str:
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"connect-src 'self' ws://{self.public} http://{self.public}; img-src 'self' data:; "
            "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        )
