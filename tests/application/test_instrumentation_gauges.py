"""What there is at the moment."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import KANBAN, Member, new_realm, publication
from tuleaprt.application.instrumentation import watch
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.wamp.identifiers import Match


class TwoConnections:
    open = frozenset({1, 2})
    backpressure = Backpressure(1000)


def test_they_follow_what_is_there() -> None:
    metrics, realm, connections = PrometheusMetrics(), new_realm(), TwoConnections()
    unauthenticated_limits, campaigns = (
        [UnauthenticatedLimit(9), UnauthenticatedLimit(9)],
        Campaigns(max=9, idle_seconds=9, max_publications=1000),
    )
    mock: Any = connections
    watch(metrics, mock, unauthenticated_limits, realm, campaigns)
    for unauthenticated in unauthenticated_limits:
        unauthenticated.enter("", print)
    for user in (101, 102):
        member = Member(user_id=user)
        realm.join(member, 1000)
        realm.subscribe(member, KANBAN, Match.EXACT, 1000, lambda id: None)
    realm.publish(publication(), 1000)
    campaigns.campaign("org.tuleap.testmanagement.9", 1000)
    connections.backpressure.total = 77
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
