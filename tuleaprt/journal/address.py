"""Where the journal's Redis is: the URL of ``[journal] url``.

::

    redis://user:password@host:6379/0
    rediss://user:password@host:6379/0?ca=/etc/tuleaprt/redis-ca.pem      TLS; ca: the authority's file (PEM)
    unix://user:password@/run/redis/redis.sock?db=0
    redis+sentinel://user:password@host:26379,host:26379/mymaster/0       the primary that Sentinel names

User, password, port and database may be absent. The default is no password, port 6379 (Sentinel: 26379) and
database 0.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from tuleaprt.errors import ConfigError

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
FORMS = (
    "memory:, sqlite:///path/to/journal.db, redis://host:6379/0, rediss://host:6379/0, "
    "unix:///path/to/redis.sock or redis+sentinel://host:26379,host:26379/name/0"
)
_PORTS = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``hosts`` are the server, or the Sentinels of the primary ``primary``. ``path`` is a Unix socket."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    primary: str = ""
    is_tls: bool = False
    authorities: str = ""
    """The file with the certificates that are trusted (PEM); empty: the system's."""
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0

    def __str__(self) -> str:
        """The address without user and password."""
        hosts = self.path or ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts} ({self.primary})" if self.primary else hosts


def parse(url: str) -> Address:
    """
    Raises:
        ConfigError: the URL is wrong. The text does not quote it, because it may have a password.
    """
    try:
        return _parse(url)
    except (ValueError, IndexError):
        raise ConfigError(f"[journal] url: this is not {FORMS}") from None


def _parse(url: str) -> Address:
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    path = [unquote(it) for it in parts.path.split("/")[1:] if it]
    authorities = query.pop("ca", [""])[0] if parts.scheme == "rediss" else ""
    database = query.pop("db", ["0"])[0] if parts.scheme == "unix" else "0"
    hosts: tuple[tuple[str, int], ...] = ()
    primary = ""
    if parts.scheme == "unix":
        if place or not path:
            raise ValueError
    else:
        hosts = tuple(_host(it, _PORTS[parts.scheme]) for it in place.split(","))
        if parts.scheme == "redis+sentinel":
            primary = path.pop(0)
        elif len(hosts) > 1:
            raise ValueError
        database = path.pop(0) if path else "0"
        if path:
            raise ValueError
    if query or parts.fragment or not database.isdecimal():
        raise ValueError
    return Address(
        hosts=hosts,
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        primary=primary,
        is_tls=parts.scheme == "rediss",
        authorities=authorities,
        user=unquote(user),
        password=unquote(password),
        database=int(database),
    )


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc.endswith(":"):
        raise ValueError
    return parts.hostname, port if parts.port is None else parts.port
