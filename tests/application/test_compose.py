"""From the configuration to the parts: what follows which option."""

from dataclasses import fields
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.application.test_service import ENVIRONMENT, options, service
from tuleaprt.application.lifecycle import TuleaprtService
from tuleaprt.application.service import makeService
from tuleaprt.configuration.options import LIVE, Limits
from tuleaprt.configuration.reload import Reload
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.listening import OTHER_FILES
from tuleaprt.web.site import PrivateSite


def test_all_that_is_said_to_change_live_is_followed_by_somebody(reactor: MemoryReactorClock) -> None:
    *_, reload = service(reactor)._background
    assert isinstance(reload, Reload)
    assert reload.live.options == LIVE


def test_each_limit_reaches_those_whom_it_concerns(
    reactor: MemoryReactorClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "tuleaprt.application.lifecycle.file_limit_for", lambda wanted: asked.append(wanted) or 9
    )
    path = tmp_path / "tuleaprt.toml"
    path.write_text("")
    made = makeService(options("--config", str(path)), reactor, ENVIRONMENT)
    assert isinstance(made, TuleaprtService)
    *_, reload = made._background
    assert isinstance(reload, Reload)
    path.write_text("[limits]\n" + "\n".join(f"{it.name} = {i}" for i, it in enumerate(fields(Limits), 1)))
    reload.reload()
    private, public = (it.factory for it in made._listeners)
    assert isinstance(private, PrivateSite)
    assert isinstance(public, EntranceFactory)
    router = public.websockets.router
    expected = Limits(**{it.name: i for i, it in enumerate(fields(Limits), 1)})
    assert expected == Limits(
        max_connections=made._connections.max_connections,
        max_unauthenticated=public.unauthenticated.most,
        max_sessions_per_user=router.realm.max_sessions_per_user,
        max_subscriptions_per_session=router.realm.max_subscriptions,
        requests_per_second=int(router.requests_per_second),
        max_message_size=public.websockets.maxMessagePayloadSize,
        max_outbox=made._connections.max_outbox,
        max_outboxes=made._connections.backpressure.most,
        max_post_size=private.max_body,
    )
    assert asked[-1] == 1 + 2 + 2 + OTHER_FILES
