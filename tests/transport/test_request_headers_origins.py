"""Which pages may open a WebSocket."""

import pytest

from tuleaprt.errors import ConfigError
from tuleaprt.transport.request_headers import allowed_origins, origin_is_allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://tuleap.example.com", "tuleap.example.com"),
        ("https://tuleap.example.com", "tuleap.example.com:443"),
        ("http://tuleap.example.com", "tuleap.example.com:80"),
        ("https://tuleap.example.com:8443", "tuleap.example.com:8443"),
        ("https://Tuleap.Example.com", "tuleap.example.COM"),
        ("http://127.0.0.1:2998", "127.0.0.1:2998"),
        ("http://[::1]:2998", "[::1]:2998"),
    ],
)
def test_a_page_may_connect_to_the_host_that_it_came_from(origin: str, host: str) -> None:
    assert origin_is_allowed(origin, host, frozenset())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "tuleap.example.com"),
        ("https://tuleap.example.com.evil.example", "tuleap.example.com"),
        ("https://eviltuleap.example.com", "tuleap.example.com"),
        ("https://tuleap.example.com:8443", "tuleap.example.com"),
        ("https://tuleap.example.com", "tuleap.example.com:80"),
        ("https://tuleap.example.com@evil.example", "tuleap.example.com"),
        ("https://evil.example/tuleap.example.com", "tuleap.example.com"),
        ("https://a@tuleap.example.com", "tuleap.example.com"),
        ("null", "null"),
        ("null", "tuleap.example.com"),
        ("", ""),
        ("file://", "tuleap.example.com"),
        ("file://tuleap.example.com", "tuleap.example.com"),
        ("chrome-extension://tuleap.example.com", "tuleap.example.com"),
        ("tuleap.example.com", "tuleap.example.com"),
        ("https://tuleap.example.com:99999", "tuleap.example.com"),
        ("https://[", "["),
        ("https://a, https://tuleap.example.com", "tuleap.example.com"),
    ],
)
def test_a_page_from_elsewhere_may_not(origin: str, host: str) -> None:
    assert not origin_is_allowed(origin, host, frozenset())


def test_a_list_says_it_all() -> None:
    allowed = allowed_origins(["https://tuleap.example.com", "http://localhost:8080"])
    assert origin_is_allowed("https://tuleap.example.com:443", "127.0.0.1:2998", allowed)
    assert origin_is_allowed("http://localhost:8080", "127.0.0.1:2998", allowed)
    assert not origin_is_allowed("http://tuleap.example.com", "tuleap.example.com", allowed)
    assert not origin_is_allowed("https://127.0.0.1:2998", "127.0.0.1:2998", allowed)


@pytest.mark.parametrize(
    "text", ["*", "null", "tuleap.example.com", "https://tuleap.example.com/", "ftp://x", ""]
)
def test_what_is_no_origin_cannot_be_listed(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        allowed_origins(["https://good.example", text])
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith("[websocket] allowed_origins: ")


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://tuleap.example.com", "tuleap.example.com", True),
        ("https://tuleap.example.com:2443", "tuleap.example.com:2443", True),
        ("https://tuleap.example.com", "tuleap.example.com:2443", False),
        ("http://tuleap.example.com", "tuleap.example.com", False),
        ("http://tuleap.example.com:443", "tuleap.example.com", False),
    ],
)
def test_a_page_that_somebody_on_the_way_has_written_is_no_page_of_a_host_with_tls(
    origin: str, host: str, allowed: bool
) -> None:
    assert origin_is_allowed(origin, host, frozenset(), "https") is allowed
