"""What a request says about itself."""

import pytest

from tuleaprt.web.resource import HttpError, check_request, json_body, no_body


class Asked:
    """A request with these headers."""

    def __init__(self, method: str = "POST", length: int | None = 2, **headers: str) -> None:
        self.method = method.encode()
        self.length = length
        self._headers = {
            name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()
        }

    def header(self, name: bytes) -> bytes | None:
        return self._headers.get(name)

    def body(self) -> bytes:
        return b"{}"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json ; charset="utf-8"',
        'application/json; Charset="Utf-8"',
        "application/json;",
        "application/json; ; charset=utf-8",
    ],
)
def test_json_in_utf_8_is_taken(content_type: str) -> None:
    assert json_body(Asked(Content_Type=content_type)) == b"{}"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=iso-8859-1",
        "application/json; charset='utf-8'",
        'application/json; charset="utf-8',
        "application/json; charset=utf-16",
        "application/json; charset=",
        "application/json; charset = utf-8",
        "application/json; charset=utf-8; charset=iso-8859-1",
        "application/json; charset*=utf-8''utf-8",
        "application/json; boundary=x",
        "application/json, application/json",
        "application/json, text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "application/json" + "; " * 8000 + "x",
        "json",
        "",
        "\xff",
    ],
)
def test_body_in_another_type_or_charset_is_refused(content_type: str) -> None:
    with pytest.raises(HttpError) as refused:
        json_body(Asked(Content_Type=content_type))
    assert (refused.value.status, refused.value.code) == (415, "content_type")
    with pytest.raises(HttpError):
        no_body(Asked(length=0, Content_Type=content_type))


def test_the_type_may_be_left_out_only_where_that_is_said() -> None:
    assert json_body(Asked(), must_be_typed=False) == b"{}"
    with pytest.raises(HttpError):
        json_body(Asked())


@pytest.mark.parametrize("coding", ["identity", "Identity", "", " , identity ,"])
def test_a_body_that_is_not_encoded_may_say_so(coding: str) -> None:
    assert json_body(Asked(Content_Type="application/json", Content_Encoding=coding)) == b"{}"


@pytest.mark.parametrize(
    "coding", ["gzip", "x-gzip", "deflate", "br", "identity, gzip", "identity;q=1", "\xff"]
)
def test_encoded_body_is_refused_by_the_name_of_its_header(coding: str) -> None:
    asked = Asked(length=0, Content_Type="application/json", Content_Encoding=coding)
    for check in (json_body, no_body):
        with pytest.raises(HttpError, match="Content-Encoding") as refused:
            check(asked)
        assert refused.value.status == 415
        assert refused.value.headers == {"Accept-Encoding": "identity"}


def test_where_no_body_is_read_none_is_taken() -> None:
    no_body(Asked(length=0))
    no_body(Asked(length=0, Content_Type="application/json"))
    for length in (1, None):
        with pytest.raises(HttpError) as refused:
            no_body(Asked(length=length))
        assert (refused.value.status, refused.value.code) == (400, "unexpected_body")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Expect": "the-unexpected"}, 417),
        ("POST", {"Expect": "100-continue, more"}, 417),
        ("GET", {"Expect": "200-ok"}, 417),
        ("POST", {"If_Match": "*"}, 412),
        ("PUT", {"If_Match": '"tag"'}, 412),
        ("PUT", {"If_None_Match": "*"}, 412),
        ("DELETE", {"If_Unmodified_Since": "Sun, 01 Mar 2026 00:00:00 GMT"}, 412),
        ("GET", {"If_Match": '"tag"'}, 412),
        ("PUT", {"Content_Range": "bytes 0-1/2"}, 400),
    ],
)
def test_what_cannot_be_done_is_refused(method: str, headers: dict[str, str], status: int) -> None:
    with pytest.raises(HttpError) as refused:
        check_request(Asked(method, **headers))
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("POST", {"Expect": "100-Continue"}),
        ("GET", {"If_None_Match": '"tag"'}),
        ("GET", {"If_Modified_Since": "Sun, 01 Mar 2026 00:00:00 GMT"}),
        ("HEAD", {"If_Match": "*"}),
        ("GET", {"Range": "bytes=0-1"}),
    ],
)
def test_what_changes_nothing_is_answered(method: str, headers: dict[str, str]) -> None:
    check_request(Asked(method, **headers))
