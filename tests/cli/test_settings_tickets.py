"""Tokens that the command line makes."""

import pytest

from tests.fakes import KEY
from tuleaprt.cli.settings import OPERATOR_SECONDS, mint
from tuleaprt.configuration.options import Config
from tuleaprt.errors import ConfigError
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.auth import Role

NOW = 1_700_000_000.0


def test_an_operator_is_one_for_an_hour_at_most() -> None:
    ticket = mint(Config(key=KEY), 1, seconds=OPERATOR_SECONDS, is_operator=True, now=NOW)
    identity = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=1e6).authenticate(ticket, NOW)
    assert (identity.role, identity.exp) == (Role.OPERATOR, NOW + 3600)


def test_no_rooms_are_not_all_rooms() -> None:
    verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=1800)
    topics = [
        verifier.authenticate(mint(Config(key=KEY), 5, seconds=9, rooms=it, now=NOW), NOW).topics
        for it in (None, [])
    ]
    assert topics == [None, frozenset()]


def test_attack_a_public_key_signs_nothing() -> None:
    key = b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 64 + b"\n-----END PUBLIC KEY-----\n"
    with pytest.raises(ConfigError, match="another kind than Tuleap's"):
        mint(Config(key=key), 5, seconds=9, now=NOW)
