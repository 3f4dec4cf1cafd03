"""Every error has its URI."""

from collections.abc import Iterator

import pytest

from tuleaprt import errors
from tuleaprt.wamp.identifiers import is_uri, uri_of


def tree(root: type[errors.TuleaprtError]) -> Iterator[type[errors.TuleaprtError]]:
    """Those below the root that are tuleaprt's own."""
    for cls in root.__subclasses__():
        if cls.__module__.startswith("tuleaprt."):
            yield cls
            yield from tree(cls)


PREDEFINED = {
    errors.InvalidUri: "wamp.error.invalid_uri",
    errors.InvalidArgument: "wamp.error.invalid_argument",
    errors.NotAuthorized: "wamp.error.not_authorized",
    errors.NoSuchSession: "wamp.error.no_such_session",
    errors.NoSuchSubscription: "wamp.error.no_such_subscription",
    errors.NoSuchRegistration: "wamp.error.no_such_registration",
    errors.NoSuchProcedure: "wamp.error.no_such_procedure",
    errors.TicketRefused: "wamp.error.authentication_denied",
    errors.ProtocolViolation: "wamp.error.protocol_violation",
}
TOLD = [*tree(errors.RequestError), *tree(errors.TicketError), errors.ProtocolViolation]


@pytest.mark.parametrize("cls", TOLD)
def test_whatever_a_client_can_be_told_has_a_uri(cls: type[errors.TuleaprtError]) -> None:
    uri = uri_of(cls("text"))
    assert is_uri(uri)
    assert uri == PREDEFINED.get(cls, uri)
    assert uri.startswith("wamp.error." if cls in PREDEFINED else "org.tuleap.error.")


def test_no_two_errors_look_alike() -> None:
    assert len({uri_of(cls("text")) for cls in TOLD}) == len(TOLD)
