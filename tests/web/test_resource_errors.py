"""Errors as HTTP."""

from tuleaprt import errors
from tuleaprt.web.resource import HttpError, translate


def test_the_table() -> None:
    table: list[tuple[Exception, int]] = [
        (errors.MalformedMessage("code", "text"), 400),
        (errors.RefusedMessage("code", "text"), 422),
        (errors.JournalUnavailable(), 503),
        (HttpError(418, "teapot", "short and stout"), 418),
    ]
    for error, status in table:
        translated = translate(error)
        assert translated is not None
        assert translated.status == status
    assert translate(ValueError()) is None
