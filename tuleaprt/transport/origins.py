"""Which web pages may open a WebSocket (RFC 6454; RFC 6455, 10.2)."""

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from tuleaprt.errors import ConfigError

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a page, the port always present."""

    scheme: str
    host: str
    port: int


def parse_origin(text: str) -> Origin | None:
    """``https://tuleap.example.com[:port]``; None for anything else, ``null`` included."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname or text != f"{text[: len(parts.scheme)]}://{parts.netloc}":
        return None
    if "@" in parts.netloc:
        return None
    return Origin(parts.scheme, parts.hostname, default if port is None else port)


def allowed_origins(texts: Collection[str]) -> frozenset[Origin]:
    """
    Raises:
        ConfigError: one of the texts is no origin.
    """
    origins = {text: parse_origin(text) for text in texts}
    if wrong := [text for text, origin in origins.items() if origin is None]:
        raise ConfigError(
            *(
                f"[websocket] allowed_origins: {text!r} is not of the form https://host[:port]"
                for text in wrong
            )
        )
    return frozenset(origin for origin in origins.values() if origin is not None)


def origin_is_allowed(text: str, host: str, allowed: Collection[Origin], scheme: str | None = None) -> bool:
    """Whether a page of this Origin header may connect; with no list, only to the host that it came from.

    ``host`` is the Host header. It need not name the port where that is the default of the page's scheme:
    TLS may end at a proxy in front. Where it ends here, ``scheme`` is ``https``: a page that came without
    TLS, and that anybody on the way may have written, is of another origin.
    """
    origin = parse_origin(text)
    if origin is None:
        return False
    if allowed:
        return origin in allowed
    own = parse_origin(f"{scheme or origin.scheme}://{host.strip()}")
    return own == origin
