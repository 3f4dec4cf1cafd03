"""Tuleap's token as a ticket (contract 3.1).

::

    header   {"typ": "JWT", "alg": "HS512"}
    payload  {"data": {"user_id": 101, "user_rights": ["@site_active", …]}, "exp": 1741878120.123456}

tuleaprt's own additions, both optional: ``data.role`` = "operator", and ``data.rooms``, the topics that the
user may subscribe (an empty list: none). ``iat`` and ``nbf`` (RFC 7519) are optional, too.

PyJWT checks the form and the signature; what the claims say, and whether it is good at this time, is checked
here. Sessions end a little before their tickets do, each by another while, so that not all who came together
have to come back together.

The keys that tickets may be signed with: Tuleap writes a new one at every deploy of a site.

A page holds a ticket of the key before the change until it ends, so that key stays good for as long.

Revoked tickets: those that a user held when an administrator revoked them.

A ticket with ``iat`` says when it was made. A ticket without one says only when it ends, so it is taken
to have been made one longest lifetime before that, as Tuleap's are. The clock that made the ticket may
differ from the clock that recorded the revocation by ``MAX_CLOCK_SKEW`` in either direction, and each
comparison allows for it to the side of refusing:

* with ``iat``, a ticket is refused if ``iat <= revoked_at + MAX_CLOCK_SKEW``;
* without, it is refused if ``exp <= revoked_at + max_lifetime + MAX_CLOCK_SKEW``, and while it ends further
  away than a ticket of the longest lifetime can: then ``exp`` does not say how old it is.

A revocation is remembered for the longest lifetime and the skew: by then each of Tuleap's tickets that
it meant has ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from tuleaprt.errors import ConfigError, TicketExpired, TicketRefused
from tuleaprt.tuleap.topics import MAX_ID
from tuleaprt.wamp.auth import Identity, Role

FORMER_KEYS = 4
"""How many are kept: a ticket with a wrong signature is tried with each."""


class KeyRing:
    """The newest key and the former ones that are still good. A value; times are in seconds."""

    __slots__ = ("_former", "newest")

    def __init__(self, newest: bytes, former: tuple[tuple[bytes, float], ...] = ()) -> None:
        self.newest = newest
        self._former = former

    def changed(self, key: bytes, now: float, seconds: float) -> "KeyRing":
        """The ring after a change at this time, with the key before good for so long; itself, if none."""
        if key == self.newest:
            return self
        kept = [(it, until) for it, until in self._former if until > now and it != key]
        return KeyRing(key, ((self.newest, now + seconds), *kept)[:FORMER_KEYS])

    def former(self, now: float) -> Iterator[bytes]:
        """Those that are good at this time, the last one first."""
        return (key for key, until in self._former if until > now)

    def __repr__(self) -> str:
        return f"<KeyRing of {1 + len(self._former)}>"


MAX_CLOCK_SKEW = 60
"""The largest difference, in seconds, between the clock that makes tickets and the server's clock."""


class Revocations:
    """Times are in seconds since the epoch, by the clock of the records."""

    def __init__(self, max_lifetime: float) -> None:
        self._longest = max_lifetime + MAX_CLOCK_SKEW
        self._revoked_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._revoked_at)

    def revoke(self, user_id: int, at: float) -> None:
        """Refuse the tickets that this user has."""
        self._revoked_at = {user: it for user, it in self._revoked_at.items() if it + self._longest > at}
        self._revoked_at[user_id] = max(at, self._revoked_at.get(user_id, at))

    def refuse(self, user_id: int, exp: float, now: float, iat: float | None = None) -> bool:
        """Whether a ticket of this user with this ``exp``, and this ``iat`` if it has one, is refused."""
        revoked_at = self._revoked_at.get(user_id)
        if revoked_at is None or now >= revoked_at + self._longest:
            return False
        if iat is not None:
            return iat <= revoked_at + MAX_CLOCK_SKEW
        return exp <= revoked_at + self._longest or exp > now + self._longest


_HASHES = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}

SPREAD = 1 / 60
"""By how much of its life a ticket may end early as a session."""


class _Prepared(HMACAlgorithm):
    """Takes the key as it is: PyJWT would look at each ticket whether it is not a key of another kind."""

    def prepare_key(self, key: str | bytes) -> Any:
        return key

    def check_key_length(self, key: object) -> None:
        """That is for the configuration to say, once."""


class TicketVerifier:
    """An Authenticator. The key is text that is used as it is: it looks like base64, and is not decoded.

    Raises:
        ConfigError: it is a key of another kind: a public key, a certificate, a JWK.
    """

    def __init__(self, key: bytes, *, algorithms: Sequence[str], max_lifetime: float) -> None:
        self._keys = KeyRing(key)
        self._algorithms = list(algorithms)
        self._max_lifetime = max_lifetime
        self.revocations = Revocations(max_lifetime)
        check_key(key, algorithms)
        self._jws = jwt.PyJWS(algorithms)
        for name in algorithms:
            self._jws.unregister_algorithm(name)
            self._jws.register_algorithm(name, _Prepared(_HASHES[name]))

    def change_key(self, key: bytes, now: float, old_key_seconds: float) -> bool:
        """Take what is signed with this key, and for so long with the one before; whether it is another one.

        Raises:
            ConfigError: it is a key of another kind.
        """
        check_key(key, self._algorithms)
        before = self._keys
        self._keys = before.changed(key, now, old_key_seconds)
        return self._keys is not before

    def authenticate(self, ticket: str, now: float) -> Identity:
        claims = self._claims(ticket, now)
        exp, iat = _times(claims, now)
        data = claims.get("data")
        if not isinstance(data, dict):
            raise TicketRefused("data is not an object")
        user_id = _user_id(data.get("user_id"))
        if self.revocations.refuse(user_id, exp, now, iat):
            raise TicketRefused("the tickets of this user have been revoked")
        rooms = data.get("rooms")
        ends = min(exp, now + self._max_lifetime)
        return Identity(
            user_id=user_id,
            role=_role(data.get("role", Role.USER.value)),
            groups=_interned(_texts("data.user_rights", data.get("user_rights"))),
            topics=None if "rooms" not in data else _texts("data.rooms", rooms),
            # Cut later than expires_at, by the skew: if Tuleap's clock is ahead, a former ticket that is
            # shown again still ends before a newer one (credentials.py).
            exp=min(exp, now + self._max_lifetime + MAX_CLOCK_SKEW),
            expires_at=ends - (ends - now) * SPREAD * _share(ticket),
        )

    def _claims(self, ticket: str, now: float) -> dict[str, Any]:
        """The claims of a ticket with a good signature."""
        try:
            claims = msgspec.json.decode(self._payload(ticket, now))
        except jwt.InvalidSignatureError:
            raise TicketRefused(self._why_the_signature_is_wrong(ticket)) from None
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            # The class says what is wrong; the text may quote the ticket.
            raise TicketRefused(type(error).__name__) from None
        if not isinstance(claims, dict):
            raise TicketRefused("the claims are not an object")
        return claims

    def _payload(self, ticket: str, now: float) -> bytes:
        try:
            return self._jws.decode(ticket, self._keys.newest, self._algorithms)  # type: ignore[no-any-return]
        except jwt.InvalidSignatureError:
            for key in self._keys.former(now):
                with suppress(jwt.InvalidSignatureError):
                    return self._jws.decode(ticket, key, self._algorithms)  # type: ignore[no-any-return]
            raise

    def _why_the_signature_is_wrong(self, ticket: str) -> str:
        try:
            self._jws.decode(ticket, self._keys.newest + b"\n", self._algorithms)
        except jwt.PyJWTError:
            return "the signature is wrong"
        return "signed with the key and a newline: remove the newline at the end of Tuleap's key file"


def check_key(key: bytes, algorithms: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: it is a key of another kind.
    """
    try:
        for name in algorithms:
            HMACAlgorithm(_HASHES[name]).prepare_key(key)
    except jwt.InvalidKeyError:
        raise ConfigError("a key that is none of Tuleap's: a public key, a certificate or a JWK") from None


def _times(claims: Mapping[str, Any], now: float) -> tuple[float, float | None]:
    """``exp``, and ``iat`` if there is one, of a ticket that is good now (RFC 7519, 4.1.3 to 4.1.6).

    ``iat`` may be ahead by the clock skew, and ``nbf`` by less than it in whole seconds (contract, J22);
    ``exp`` has no leeway.

    Raises:
        TicketExpired
        TicketRefused: a claim is no time, is still to come, or is for another audience.
    """
    if "aud" in claims:
        raise TicketRefused("it is meant for others: there is an aud")
    latest = {"iat": now + MAX_CLOCK_SKEW, "nbf": int(now) + MAX_CLOCK_SKEW - 1}
    for name in latest.keys() & claims.keys():
        if not (_is_time(claims[name]) and claims[name] <= latest[name]):
            raise TicketRefused(f"{name} is no time, or still to come")
    exp: Any = claims.get("exp")
    if not _is_time(exp) or exp == 0:
        raise TicketRefused("exp is not a number")
    if exp <= now:
        raise TicketExpired("the token has expired")
    return float(exp), float(claims["iat"]) if "iat" in claims else None


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MAX_ID


def _share(ticket: str) -> float:
    """From 0 to 1, another for each ticket: made of its signature."""
    digest = blake2b(ticket[-86:].encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _user_id(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_ID:
        # Tuleap's id of an anonymous user is 0; he would never pass a rights rule (contract 2.4).
        raise TicketRefused("data.user_id is not the id of a user")
    return value


def _role(value: object) -> Role:
    if value not in (Role.USER.value, Role.OPERATOR.value):
        raise TicketRefused("data.role is unknown")
    return Role(str(value))


@lru_cache(maxsize=4096)
def _interned(groups: frozenset[str]) -> frozenset[str]:
    """One object for equal groups, so that a look-up by them need not compare them."""
    return groups


def _texts(name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TicketRefused(f"{name} is not a list of texts")
    return frozenset(value)
