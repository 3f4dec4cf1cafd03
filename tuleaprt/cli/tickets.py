"""A ticket as Tuleap makes them (contract 3.1), and an operator's."""

from collections.abc import Iterable

import jwt

from tuleaprt.config import Config
from tuleaprt.errors import ConfigError

OPERATOR_SECONDS = 3600
"""How long an operator's ticket may be good."""


def mint(
    config: Config,
    user_id: int,
    groups: Iterable[str] = (),
    *,
    seconds: float,
    now: float,
    is_operator: bool = False,
    rooms: Iterable[str] | None = None,
) -> str:
    """A ticket that is good from ``now`` (seconds since 1970) for so many seconds.

    Raises:
        ConfigError: the key is none of Tuleap's.
    """
    data: dict[str, object] = {"user_id": user_id, "user_rights": list(groups)}
    if is_operator:
        data["role"] = "operator"
    if rooms is not None:
        data["rooms"] = list(rooms)
    claims = {"data": data, "exp": now + seconds}
    try:
        return jwt.encode(claims, config.key, algorithm=config.realtime.algorithms[0])
    except jwt.InvalidKeyError:
        raise ConfigError("the key is none of Tuleap's: it is a public key, a certificate or a JWK") from None
