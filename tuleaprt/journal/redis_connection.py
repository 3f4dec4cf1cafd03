"""One connection to Redis, by txredisapi and hiredis: how it is opened, and what Redis's errors mean."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from txredisapi import HiredisProtocol, RedisError, ResponseError

from tuleaprt.errors import ConfigError, TuleaprtError
from tuleaprt.journal.address import Address

CONNECT_SECONDS = 3
"""How long a connection may take, and the answer of a Sentinel: another one may know the primary, too."""

REPLY_SECONDS = 15
"""The longest silence of Redis on a connection that has asked. XREAD waits for a third of it."""

CURES = {
    "NOAUTH": "Redis asks for a password; name a file with it in [journal] password_file",
    "WRONGPASS": "the user name or the password is wrong",
    "NOPERM": "the Redis user may not do this; docs/cluster.rst lists what it needs",
    "WRONGTYPE": "another program uses the keys that begin with tuleaprt:; use another database",
    "READONLY": "this server is a replica; name the primary, or use redis+sentinel://",
    "LOADING": "Redis is reading its data after a start",
    "MASTERDOWN": "this server is a replica and its primary is down",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write",
    "OOM": "Redis has reached maxmemory; raise it, and use maxmemory-policy noeviction",
    "MISCONF": "Redis cannot write its data to the disk; its log says why",
    "BUSY": "a script of another program is running",
    "CLUSTERDOWN": "the Redis cluster is down",
    "MOVED": "this node of the Redis cluster does not hold the keys; name the one that does",
}
"""What the first word of Redis's error means, and what to do."""

PASSING = frozenset(
    {"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "OOM", "MISCONF", "BUSY", "CLUSTERDOWN"}
)
"""These errors may end without a change of the configuration."""


class RedisRefused(TuleaprtError):
    """Redis has answered a command with an error. ``code`` is its first word. The text quotes no argument."""

    def __init__(self, text: str) -> None:
        known = [it for it in (*CURES, "EPOCH", "NOSCRIPT") if re.search(rf"\b{it}\b", text)]
        self.code = known[0] if known else "ERR"
        plain = text.split(", with args")[0].split(" script: ")[0].removeprefix(f"{self.code} ")
        cure = CURES.get(self.code)
        super().__init__(f"{self.code} {plain}" + (f": {cure}" if cure else ""))

    @property
    def passes(self) -> bool:
        return self.code in PASSING


class RedisAway(TuleaprtError):
    """There is no connection to Redis, or it has been lost."""


class _Protocol(HiredisProtocol):  # type: ignore[misc]
    """Remembers why the connection was lost: only TLS says that a certificate is wrong."""

    why = ""

    def connectionLost(self, why: Failure) -> None:
        self.why = why.getErrorMessage()
        super().connectionLost(why)


def _new_protocol(reply_seconds: float) -> _Protocol:
    return _Protocol(charset=None, convertNumbers=False, replyTimeout=reply_seconds)


class Connection:
    """A connection that may be used. ``name`` is its address, without a password."""

    def __init__(self, protocol: _Protocol, name: str) -> None:
        self._protocol = protocol
        self._name = name
        self.lost: Deferred[Any] = protocol.whenDisconnected()

    async def ask(self, *command: Any) -> Any:
        """Send a command, and return the reply: bytes, an integer, a list or None.

        Raises:
            RedisAway, RedisRefused.
        """
        try:
            return await self._protocol.execute_command(*command)
        except ResponseError as error:
            raise RedisRefused(str(error)) from None
        except RedisError as error:
            raise RedisAway(f"{self._name}: {self._protocol.why or error}") from None

    def close(self) -> None:
        self._protocol.transport.abortConnection()


async def locate(address: Address, reactor: Any) -> Address:
    """The address of the primary, if the address is that of its Sentinels.

    Raises:
        RedisAway: no Sentinel knows it.
    """
    if not address.primary:
        return address
    return replace(address, hosts=(await _primary(address, reactor),), primary="")


async def connect(address: Address, password: bytes, reactor: Any) -> Connection:
    """
    Raises:
        RedisAway: it cannot be reached.
        RedisRefused: it refuses the password or the database.
        ConfigError: the file with the certificates cannot be read.
    """
    connection = await _open(_endpoint(address, reactor), str(address), REPLY_SECONDS)
    try:
        secret = password or address.password.encode()
        if secret:
            await connection.ask("AUTH", *([address.user] if address.user else []), secret)
        if address.database:
            await connection.ask("SELECT", str(address.database))
    except Exception:
        connection.close()
        raise
    return connection


async def _primary(address: Address, reactor: Any) -> tuple[str, int]:
    """The primary, by the first Sentinel that knows it."""
    reasons: list[str] = []
    for host, port in address.hosts:
        try:
            endpoint = HostnameEndpoint(reactor, host, port, timeout=CONNECT_SECONDS)
            sentinel = await _open(endpoint, f"{host}:{port}", CONNECT_SECONDS)
            try:
                found = await sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.primary)
            finally:
                sentinel.close()
            if found:
                return found[0].decode(), int(found[1])
            reasons.append(f"{host}:{port}: no primary has the name {address.primary}")
        except (RedisAway, RedisRefused) as error:
            reasons.append(str(error))
    raise RedisAway("; ".join(reasons))


async def _open(endpoint: IStreamClientEndpoint, name: str, reply_seconds: float) -> Connection:
    try:
        factory = _Factory.forProtocol(partial(_new_protocol, reply_seconds))
        protocol: Any = await endpoint.connect(factory)
    except ConnectingCancelledError:
        raise CancelledError from None
    except (ConnectError, OSError) as error:
        raise RedisAway(f"{name}: {error}") from None
    return Connection(protocol, name)


def _endpoint(address: Address, reactor: Any) -> IStreamClientEndpoint:
    if address.path:
        return UNIXClientEndpoint(reactor, address.path, timeout=CONNECT_SECONDS)
    host, port = address.hosts[0]
    endpoint = HostnameEndpoint(reactor, host, port, timeout=CONNECT_SECONDS)
    if not address.is_tls:
        return endpoint
    trusted = None
    if address.authorities:
        try:
            pem = Path(address.authorities).read_text(encoding="ascii")
            blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
            if not blocks:
                raise ValueError("there is no certificate in PEM")
            trusted = trustRootFromCertificates([Certificate.loadPEM(it) for it in blocks])
        except (OSError, ValueError) as error:
            raise ConfigError(f"[journal] url: {address.authorities}: {error}") from None
    return wrapClientTLS(optionsForClientTLS(host, trustRoot=trusted), endpoint)


class _Factory(Factory):
    noisy = False
