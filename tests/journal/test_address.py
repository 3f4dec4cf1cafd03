"""The URLs of a journal in Redis."""

import pytest

from tuleaprt.errors import ConfigError
from tuleaprt.journal.address import Address, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", Address(hosts=(("host", 6379),))),
        ("redis://host:7000/2", Address(hosts=(("host", 7000),), database=2)),
        ("redis://[::1]:7000", Address(hosts=(("::1", 7000),))),
        ("redis://:secret@host", Address(hosts=(("host", 6379),), password="secret")),
        ("redis://a%40b:p%3Aw@host", Address(hosts=(("host", 6379),), user="a@b", password="p:w")),
        ("redis://rt@host", Address(hosts=(("host", 6379),), user="rt")),
        ("rediss://host/1", Address(hosts=(("host", 6379),), is_tls=True, database=1)),
        (
            "rediss://host?ca=/etc/ca.pem",
            Address(hosts=(("host", 6379),), is_tls=True, authorities="/etc/ca.pem"),
        ),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix://rt:pw@/run/a%20b?db=3", Address(path="/run/a b", user="rt", password="pw", database=3)),
        (
            "redis+sentinel://rt:pw@a,b:7000/mymaster/4",
            Address(
                hosts=(("a", 26379), ("b", 7000)), primary="mymaster", user="rt", password="pw", database=4
            ),
        ),
    ],
)
def test_a_url_names_a_server(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        *("redis:", "redis://", "redis:///0", "redis://host/x", "redis://host/0/1", "redis://host/-1"),
        *("redis://host:", "redis://host:x", "redis://host:99999", "redis://a,b", "redis://host#x"),
        *("redis://host?db=1", "redis://host?ca=/x", "rediss://host?x", "unix://host/x", "unix://"),
        *("redis+sentinel://a", "redis+sentinel:///mymaster", "unix:///x?ca=/y", "redis://host/0?x=1"),
    ],
)
def test_a_wrong_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[journal\] url: this is not memory:, sqlite:") as refused:
        parse(url.replace("://", "://u:secret@", 1))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://rt:secret@host/1", "redis+sentinel://:secret@a,b/m"])
def test_an_address_is_shown_without_its_password(url: str) -> None:
    address = parse(url)
    assert "secret" not in f"{address} {address!r}"


def test_sentinels_are_shown_with_the_name_of_their_primary() -> None:
    assert str(parse("redis+sentinel://a,b:7000/mymaster")) == "a:26379,b:7000 (mymaster)"
    assert str(parse("unix:///run/redis.sock")) == "/run/redis.sock"
