"""What there is at the moment."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import KANBAN, Member, new_realm, publication
from tuleaprt.gauges import watch
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.transport.outboxes import Outboxes
from tuleaprt.transport.unauthenticated import Lobby
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.wamp.identifiers import Match


class HubOfTwo:
    connections = frozenset({1, 2})
    outboxes = Outboxes(1000)


def test_they_follow_what_is_there() -> None:
    metrics, realm, hub = PrometheusMetrics(), new_realm(), HubOfTwo()
    lobbies, campaigns = [Lobby(9), Lobby(9)], Campaigns(max=9, idle_seconds=9, max_publications=1000)
    mock: Any = hub
    watch(metrics, mock, lobbies, realm, campaigns)
    for lobby in lobbies:
        lobby.enter("", print)
    for user in (101, 102):
        member = Member(user_id=user)
        realm.join(member, 1000)
        realm.subscribe(member, KANBAN, Match.EXACT, 1000, lambda id: None)
    realm.publish(publication(), 1000)
    campaigns.campaign("org.tuleap.testmanagement.9", 1000)
    hub.outboxes.total = 77
    families = text_string_to_metric_families(metrics.exposition().decode())
    values = {it.name: it.value for family in families for it in family.samples}
    assert {name: values[f"tuleaprt_{name}"] for name in WANTED} == WANTED


WANTED = {
    "connections": 2,
    "unauthenticated": 2,
    "sessions": 2,
    "subscriptions": 2,
    "topics": 1,
    "campaigns": 1,
    "outbox_bytes": 77,
}
