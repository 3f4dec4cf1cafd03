"""Verifies Tuleap's tokens (contract 3.1). WAMP's authentication method calls them tickets.

::

    header   {"typ": "JWT", "alg": "HS512"}
    payload  {"data": {"user_id": 101, "user_rights": ["@site_active", …]}, "exp": 1741878120.123456}

tuleaprt adds two optional claims: ``data.role`` = "operator", and ``data.rooms``, the topics to which the
user may subscribe (an empty list: none). ``iat`` and ``nbf`` (RFC 7519) are optional, too. PyJWT checks
the form and the signature. The claims and the times are checked here. A session ends a little before its
token, each by a different time, so that clients that connected together do not reconnect together.

*Keys*: Tuleap writes a new key at every deployment of a site. Pages still hold tokens of the former key,
so that key stays good until those tokens have expired.

*Revocation*: a token with ``iat`` says when it was made. A token without one is taken to have been made
one longest lifetime before its end, as Tuleap's are. The clock that made the token and the clock that
recorded the revocation may differ by ``MAX_CLOCK_SKEW`` in either direction. Each comparison errs on the
side of refusing:

* with ``iat``, a token is refused if ``iat <= revoked_at + MAX_CLOCK_SKEW``;
* without, it is refused if ``exp <= revoked_at + max_lifetime + MAX_CLOCK_SKEW``, and also while ``exp`` is
  further away than the longest lifetime allows: then ``exp`` does not show the age of the token.

A revocation is kept for the longest lifetime and the skew. After that every token of Tuleap that it
concerns has expired.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
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
"""The number of former keys that are kept. A token with a wrong signature is tried with each of them."""


class KeyRing:
    """The newest key, and the former keys that are still good. Immutable; times are in seconds."""

    __slots__ = ("_former", "newest")

    def __init__(self, newest: bytes, former: tuple[tuple[bytes, float], ...] = ()) -> None:
        self.newest = newest
        self._former = former

    def changed(self, key: bytes, now: float, seconds: float) -> "KeyRing":
        """The keys after a change at ``now``: the former key stays good for ``seconds``. Itself if the key
        is the same.
        """
        if key == self.newest:
            return self
        kept = [(it, until) for it, until in self._former if until > now and it != key]
        return KeyRing(key, ((self.newest, now + seconds), *kept)[:FORMER_KEYS])

    def former(self, now: float) -> Iterator[bytes]:
        """The former keys that are good at this time, the newest first."""
        return (key for key, until in self._former if until > now)

    def __repr__(self) -> str:
        return f"<KeyRing of {1 + len(self._former)}>"


MAX_CLOCK_SKEW = 60
"""The largest difference, in seconds, between the clock that makes tickets and the server's clock."""


class Revocations:
    """The revocations of users. Times are in seconds since the epoch, by the clock of the records."""

    def __init__(self, max_lifetime: float) -> None:
        self._longest = max_lifetime + MAX_CLOCK_SKEW
        self._revoked_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._revoked_at)

    def state(self) -> dict[int, float]:
        """When the tokens of each user were revoked."""
        return dict(self._revoked_at)

    def restore(self, revoked_at: Mapping[int, float]) -> None:
        """Take over a snapshot."""
        self._revoked_at = dict(revoked_at)

    def revoke(self, user_id: int, at: float) -> None:
        """Refuse the tokens that this user has at this time."""
        self._revoked_at = {user: it for user, it in self._revoked_at.items() if it + self._longest > at}
        self._revoked_at[user_id] = max(at, self._revoked_at.get(user_id, at))

    def refuse(self, user_id: int, exp: float, now: float, iat: float | None = None) -> bool:
        """Whether a token of this user with these times is refused. ``iat`` is None if the token has none."""
        revoked_at = self._revoked_at.get(user_id)
        if revoked_at is None or now >= revoked_at + self._longest:
            return False
        if iat is not None:
            return iat <= revoked_at + MAX_CLOCK_SKEW
        return exp <= revoked_at + self._longest or exp > now + self._longest


_HASHES = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}

SPREAD = 1 / 60
"""The part of a token's life by which its session may end earlier."""


class _Prepared(HMACAlgorithm):
    """Uses the key as it is. PyJWT would check at each token whether the key is of another kind."""

    def prepare_key(self, key: str | bytes) -> Any:
        return key

    def check_key_length(self, key: object) -> None:
        """The configuration checks the length, once."""


TULEAPS_HEADER = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9"
"""``{"typ":"JWT","alg":"HS512"}``, as Tuleap writes it."""

_TULEAPS = re.compile(rf"({TULEAPS_HEADER}\.([A-Za-z0-9_-]++))\.([A-Za-z0-9_-]{{86}})")


class TicketVerifier:
    """Verifies tokens (an Authenticator). The key is the text of the key file; it looks like base64 and is
    not decoded.

    Raises:
        ConfigError: the key is of another kind: a public key, a certificate, a JWK.
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
        """Use this key, and the former one for so many seconds. Return whether the key is a different one.

        Raises:
            ConfigError: the key is of another kind.
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
            raise TicketRefused("the tokens of this user have been revoked")
        rooms = data.get("rooms")
        ends = min(exp, now + self._max_lifetime)
        return Identity(
            user_id=user_id,
            role=_role(data.get("role", Role.USER.value)),
            groups=_interned(_texts("data.user_rights", data.get("user_rights"))),
            topics=None if "rooms" not in data else _texts("data.rooms", rooms),
            # ``exp`` is capped later than ``expires_at``, by the skew. If Tuleap's clock is ahead, an older
            # token that is shown again still expires before a newer one (auth.Credentials).
            exp=min(exp, now + self._max_lifetime + MAX_CLOCK_SKEW),
            expires_at=ends - (ends - now) * SPREAD * _share(ticket),
        )

    def _claims(self, ticket: str, now: float) -> dict[str, Any]:
        """The claims of a token with a good signature."""
        try:
            claims = msgspec.json.decode(self._payload(ticket, now))
        except jwt.InvalidSignatureError:
            raise TicketRefused(self._why_the_signature_is_wrong(ticket)) from None
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            # The class names the problem. The text may quote the token.
            raise TicketRefused(type(error).__name__) from None
        if not isinstance(claims, dict):
            raise TicketRefused("the claims are not an object")
        return claims

    def _payload(self, ticket: str, now: float) -> bytes:
        if (payload := self._payload_of_tuleaps(ticket)) is not None:
            return payload
        try:
            return self._jws.decode(ticket, self._keys.newest, self._algorithms)  # type: ignore[no-any-return]
        except jwt.InvalidSignatureError:
            for key in self._keys.former(now):
                with suppress(jwt.InvalidSignatureError):
                    return self._jws.decode(ticket, key, self._algorithms)  # type: ignore[no-any-return]
            raise

    def _payload_of_tuleaps(self, ticket: str) -> bytes | None:
        """The payload of a token that has exactly Tuleap's header, and that the newest key has signed; None:
        PyJWT decides. It takes a third of PyJWT's time.
        """
        if not isinstance(ticket, str) or "HS512" not in self._algorithms:
            return None
        match = _TULEAPS.fullmatch(ticket)
        if match is None:
            return None
        signed, payload, signature = match.groups()
        if len(payload) % 4 == 1:
            return None  # This is no base64.
        expected = urlsafe_b64encode(hmac.digest(self._keys.newest, signed.encode(), "sha512"))
        if not hmac.compare_digest(expected.rstrip(b"="), signature.encode()):
            return None
        return urlsafe_b64decode(payload + "=" * (-len(payload) % 4))

    def _why_the_signature_is_wrong(self, ticket: str) -> str:
        try:
            self._jws.decode(ticket, self._keys.newest + b"\n", self._algorithms)
        except jwt.PyJWTError:
            return "the signature is wrong"
        return "signed with the key and a newline: remove the newline at the end of Tuleap's key file"


def check_key(key: bytes, algorithms: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: the key is of another kind.
    """
    try:
        for name in algorithms:
            HMACAlgorithm(_HASHES[name]).prepare_key(key)
    except jwt.InvalidKeyError:
        raise ConfigError(
            "a key of another kind than Tuleap's: a public key, a certificate or a JWK"
        ) from None


def _times(claims: Mapping[str, Any], now: float) -> tuple[float, float | None]:
    """``exp``, and ``iat`` or None, of a token that is good at ``now`` (RFC 7519, 4.1.3 to 4.1.6).

    ``iat`` may be ahead by the clock skew, and ``nbf`` by less than it in whole seconds (contract, J22).
    ``exp`` has no leeway.

    Raises:
        TicketExpired
        TicketRefused: a claim is not a time, is in the future, or is for another audience.
    """
    if "aud" in claims:
        raise TicketRefused("the token is for another audience: it has aud")
    latest = {"iat": now + MAX_CLOCK_SKEW, "nbf": int(now) + MAX_CLOCK_SKEW - 1}
    for name in latest.keys() & claims.keys():
        if not (_is_time(claims[name]) and claims[name] <= latest[name]):
            raise TicketRefused(f"{name} is not a time, or is in the future")
    exp: Any = claims.get("exp")
    if not _is_time(exp) or exp == 0:
        raise TicketRefused("exp is not a number")
    if exp <= now:
        raise TicketExpired("the token has expired")
    return float(exp), float(claims["iat"]) if "iat" in claims else None


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= MAX_ID


def _share(ticket: str) -> float:
    """A number from 0 to 1 that depends on the signature of the token."""
    digest = blake2b(ticket[-86:].encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _user_id(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_ID:
        # 0 is Tuleap's id of anonymous users, which no rights admit (contract 2.4).
        raise TicketRefused("data.user_id is not the id of a user")
    return value


def _role(value: object) -> Role:
    if value not in (Role.USER.value, Role.OPERATOR.value):
        raise TicketRefused("data.role is unknown")
    return Role(str(value))


@lru_cache(maxsize=4096)
def _interned(groups: frozenset[str]) -> frozenset[str]:
    """One object for equal groups, so that a dictionary look-up need not compare them."""
    return groups


def _texts(name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TicketRefused(f"{name} is not a list of texts")
    return frozenset(value)
