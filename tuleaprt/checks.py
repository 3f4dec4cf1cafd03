"""What is wrong with options whose types are right: found by trying, without doing anything."""

from collections.abc import Iterator, Sequence

from tuleaprt.config import Config, toml
from tuleaprt.listening import fault_of, is_out_of_reach
from tuleaprt.transport.origins import parse_origin
from tuleaprt.tuleap.ticket import check_key

__all__ = ["check_key", "faults"]

Fault = tuple[str, str, str, str]
"""Section, option, what was expected, and what was given."""


def faults(config: Config) -> Iterator[Fault]:
    """One for each option at most, of the first of its values that is wrong."""
    for option in ("private", "public", "public_tls", "rawsocket", "debug"):
        yield from _endpoints(option, getattr(config.listen, option))
    for description in config.listen.debug:
        if not is_out_of_reach(description):
            yield (
                "listen",
                "debug",
                "tcp:PORT:interface=127.0.0.1, or unix:PATH:mode=0600, because whoever connects there is an "
                "operator",
                toml(description),
            )
    for origin in config.websocket.allowed_origins:
        if parse_origin(origin) is None:
            yield "websocket", "allowed_origins", "origins of the form https://host[:port]", toml(origin)
    if config.listen.public_tls and not config.tls.certificate:
        yield "tls", "certificate", "a PEM file, because [listen] public_tls has endpoints", "none"


def _endpoints(option: str, descriptions: Sequence[str]) -> Iterator[Fault]:
    for description in descriptions:
        if fault := fault_of(description):
            yield "listen", option, "endpoint strings of Twisted", f"{toml(description)}: {fault}"
