"""X-Forwarded-For: the client that it names, and attempts to forge it."""

import pytest

from tuleaprt.errors import ConfigError
from tuleaprt.transport.request_headers import LONGEST_ADDRESS, MAX_PROXIES, client_of, known_proxies

PROXIES = known_proxies(["127.0.0.1", "::1", "10.0.0.0/8"])
CLIENT = "203.0.113.9"


def found(*values: str, peer: str | None = "127.0.0.1") -> str | None:
    lines = "".join(f"X-Forwarded-For: {value}\r\n" for value in values)
    head = f"GET /ws HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1")
    return client_of(peer, head, PROXIES)


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"{CLIENT}, 10.0.0.7"], CLIENT),
        ([f"{CLIENT},10.0.0.7\t, ::1"], CLIENT),
        ([CLIENT, "10.0.0.7"], CLIENT),
        (["2001:DB8:0::1"], "2001:db8::1"),
        ([f"::ffff:{CLIENT}"], CLIENT),
        (["10.0.0.7"], None),
        ([""], None),
        ([], None),
    ],
)
def test_it_is_the_rightmost_that_is_no_proxy(values: list[str], client: str | None) -> None:
    assert found(*values) == client


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.9.8.7", None])
def test_known_proxies_and_unix_sockets_are_believed(peer: str | None) -> None:
    assert found(CLIENT, peer=peer) == CLIENT


@pytest.mark.parametrize("peer", ["203.0.113.66", "11.0.0.1", "2001:db8::1", "", "localhost"])
def test_a_client_that_is_no_proxy_names_nobody(peer: str) -> None:
    assert found("198.51.100.1", peer=peer) is None


def test_a_unix_socket_is_not_believed_where_this_machine_is_not() -> None:
    head = f"GET /ws HTTP/1.1\r\nX-Forwarded-For: {CLIENT}\r\n\r\n".encode()
    assert client_of(None, head, known_proxies(["10.0.0.1"])) is None
    assert client_of("127.0.0.1", head, known_proxies([])) is None


@pytest.mark.parametrize(
    "lie", ["198.51.100.1", "127.0.0.1", "nonsense", "x" * 9000, "1,2" * 3000, "10.0.0.7"]
)
def test_a_client_that_sends_one_through_a_proxy_is_still_named_by_the_proxy(lie: str) -> None:
    assert found(f"{lie}, {CLIENT}") == CLIENT
    assert found(lie, f"{CLIENT}, 10.0.0.7") == CLIENT


@pytest.mark.parametrize("octet", ["\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_a_header_smuggled_in_another_one_is_none(octet: str) -> None:
    lie = f"Cookie: a{octet}X-Forwarded-For: 198.51.100.1"
    head = f"GET /ws HTTP/1.1\r\nX-Forwarded-For: {CLIENT}\r\n{lie}\r\n\r\n".encode("latin-1")
    assert client_of("127.0.0.1", head, PROXIES) == CLIENT


@pytest.mark.parametrize(
    "value",
    [
        "unknown",
        "unix:",
        "203.0.113.9:1234",
        "203.0.113.999",
        "203.0.113.9 203.0.113.10",
        "fe80::1%a\x1b[2Jforged",
        "\x1b[2J",
        "²03.0.113.9",
        "0" * LONGEST_ADDRESS + ":1",
        f"{CLIENT}, what is this",
    ],
)
def test_nothing_but_an_address_gets_into_the_log(value: str) -> None:
    assert found(value) is None


def test_a_chain_without_end_is_not_walked() -> None:
    assert found(", ".join([CLIENT] + ["10.0.0.7"] * MAX_PROXIES)) is None


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33"])
def test_what_is_no_peer_cannot_be_listed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[websocket\] forwarded_for: "):
        known_proxies([text])
