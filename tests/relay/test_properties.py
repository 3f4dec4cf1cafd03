"""Whatever happens in campaigns, in whatever order: what must hold all the same."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests import campaigns as tuleap
from tests.campaigns import CAMPAIGN, rights
from tests.world import GRACE, Window, World, plain
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.publications import publications_for
from tuleaprt.wamp.identifiers import publication_id

OTHER = "org.tuleap.testmanagement.10"
EXECUTIONS = (1, 2, 3)
STANDING = {1: ["@m"], 2: ["@a"], 3: ["@b"], 5: ["@m"]}
"""Who may see each execution, where rights stand still. 5 is of campaign 10."""

GROUPS = (["@m"], ["@m", "@a"], ["@b"], ["@m", "@a", "@b"], [])
USERS = (101, 102, 103)

execution = st.sampled_from(EXECUTIONS)
user = st.sampled_from(USERS)
# Two users share a uuid.
uuids = {101: "u-a", 102: "u-b", 103: "u-a"}
tracker = st.sampled_from([["@m"], ["@a"], ["@b"], ["@m", "@a"]])

POSTS = st.one_of(
    st.tuples(st.just("presence"), user, execution, st.none() | st.sampled_from([*EXECUTIONS, 77]), tracker),
    st.tuples(st.just("elsewhere"), user),
    st.tuples(st.just("update"), user, execution, st.sampled_from(["passed", "failed", "notrun"]), tracker),
    st.tuples(st.just("delete"), execution),
    st.tuples(st.just("create"), execution, tracker),
    st.tuples(st.just("link"), execution, tracker),
)
STEPS = st.lists(
    POSTS
    | st.tuples(st.just("arrive"), user, execution, tracker)
    | st.tuples(st.just("open"), user)
    | st.tuples(st.just("close"), user)
    | st.tuples(st.just("unsubscribe"), user)
    | st.tuples(st.just("wait"), st.sampled_from([1, GRACE - 1, GRACE])),
    min_size=3,
    max_size=40,
)
A_BORROWED_UUID = [
    ("presence", 101, 1, None, ["@m"]),
    ("wait", 1),
    ("presence", 103, 2, None, ["@m"]),
    ("wait", 14),
]


class Theatre:
    """A world, the testers who act in it, and observers who only look."""

    def __init__(self, *, stands_still: bool) -> None:
        self.world = World()
        self.stands_still = stands_still
        self.testers: dict[int, Window] = {}
        self.observers = [self._observer(201 + place, groups) for place, groups in enumerate(GROUPS)]
        self.rights: dict[int, list[str]] = {}
        """The newest that were shown."""

    def _observer(self, id: int, groups: list[str]) -> tuple[list[str], Window]:
        window = self.world.open(id, groups, f"observer {id}", lifetime=1e9)
        window.subscribe(CAMPAIGN)
        window.take()
        return groups, window

    def act(self, step: Any) -> dict[str, Any] | None:
        """Do a step; what was posted, if something was."""
        kind, *rest = step
        if kind == "wait":
            self.world.wait(*rest)
        elif kind in ("open", "arrive"):
            id, *where = rest
            self.testers[id] = self.world.open(id, ["@m", "@a", "@b"], uuids[id])
            self.testers[id].subscribe(CAMPAIGN)
            return self.act(("presence", id, where[0], None, where[1])) if where else None
        elif kind == "close":
            if (window := self.testers.pop(rest[0], None)) is not None:
                window.close()
        elif kind == "unsubscribe":
            if (window := self.testers.get(rest[0])) is not None:
                for subscription in list(window.session.subscriptions):
                    window.unsubscribe(subscription)
        else:
            body = getattr(self, f"_{kind}")(*rest)
            assert self.world.post(body) != 422
            return body  # type: ignore[no-any-return]
        return None

    def _of(self, execution: int, tracker: list[str]) -> dict[str, Any]:
        self.rights[execution] = STANDING[execution] if self.stands_still else tracker
        return rights(self.rights[execution])

    def _presence(self, id: int, execution: int, left: int | None, tracker: list[str]) -> Any:
        of = self._of(execution, tracker)
        return tuleap.presence(id, execution, left, uuid=uuids[id], rights=of)

    def _elsewhere(self, id: int) -> Any:
        return tuleap.presence(id, 5, uuid=uuids[id], campaign=10, rights=rights(STANDING[5]))

    def _update(self, id: int, execution: int, status: str, tracker: list[str]) -> Any:
        of = self._of(execution, tracker)
        return tuleap.update(id, execution, status, uuid=uuids[id], rights=of)

    def _delete(self, execution: int) -> Any:
        known = self.rights.get(execution, STANDING[execution])
        return tuleap.delete(execution, rights=rights(known))

    def _create(self, execution: int, tracker: list[str]) -> Any:
        return tuleap.create(execution, rights=self._of(execution, tracker))

    def _link(self, execution: int, of_the_bug: list[str]) -> Any:
        return tuleap.link(execution, rights=rights(of_the_bug))

    def may_see(self, groups: list[str], execution: int) -> bool:
        return not set(groups).isdisjoint(self.rights.get(execution, []))

    def viewers(self) -> Iterator[tuple[int, str]]:
        """As they are shown, one by one."""
        operator = self.world.open(1, [], role="operator")
        for campaign in (9, 10):
            for viewers in operator.presences(campaign).values():
                yield from ((it["id"], it["uuid"]) for it in viewers)
        operator.close()


@given(STEPS)
def test_each_window_is_on_one_execution_and_after_the_grace_each_viewer_has_a_window(
    steps: list[Any],
) -> None:
    theatre = Theatre(stands_still=False)
    for step in steps:
        theatre.act(step)
        assert all(count == 1 for count in Counter(theatre.viewers()).values())
    theatre.world.wait(GRACE)
    assert set(theatre.viewers()) <= set(theatre.world.realm.sessions.windows)
    for window in theatre.testers.values():
        window.close()
    theatre.world.wait(GRACE)
    assert list(theatre.viewers()) == []
    assert len(theatre.world.campaigns.presence) == 0
    assert theatre.world.clock.getDelayedCalls() == []
    assert theatre.world.metrics.internal_errors == 0


def fold(shown: dict[str, list[Any]], event: dict[str, Any]) -> None:
    """What a page makes of an event."""
    cmd, data = event["cmd"], event["data"]
    if cmd == "testmanagement_user:presence":
        for verb in ("add", "remove"):
            if f"execution_to_{verb}" in data:
                shown[str(data[f"execution_to_{verb}"])] = data[f"execution_presences_to_{verb}"]
    elif cmd == "user:leave":
        for execution in shown:
            shown[execution] = [it for it in shown[execution] if it["uuid"] != data]
    elif cmd == "testmanagement_execution:delete":
        shown.pop(str(data["artifact_id"]), None)


@given(STEPS)
@example(A_BORROWED_UUID)
def test_a_page_that_heard_all_broadcasts_shows_what_the_snapshot_says(steps: list[Any]) -> None:
    theatre = Theatre(stands_still=True)
    shown: list[dict[str, list[Any]]] = [{} for _ in theatre.observers]
    for step in steps:
        theatre.act(step)
        for page, (_, observer) in zip(shown, theatre.observers, strict=True):
            for event in observer.events():
                fold(page, event)
            assert {execution: viewers for execution, viewers in page.items() if viewers} == (
                observer.presences()
            )


def named(event: dict[str, Any]) -> set[int]:
    """The executions that an event names."""
    data = event["data"]
    if not isinstance(data, dict):
        return set()
    keys = ("artifact_id", "execution_to_add", "execution_to_remove")
    return {int(data[key]) for key in keys if key in data}


@given(STEPS)
def test_nothing_about_an_execution_reaches_whom_its_rights_exclude(steps: list[Any]) -> None:
    theatre = Theatre(stands_still=False)
    positions = [window.position() for _, window in theatre.observers]
    for step in steps:
        whereabouts = {}
        for _, observer in theatre.observers:
            whereabouts[observer] = {it["uuid"] for each in observer.presences().values() for it in each}
        body = theatre.act(step)
        podium = expected_podium(theatre)
        for groups, observer in theatre.observers:
            for event in observer.events():
                # Of an execution that was never heard of, the bare id is told as Tuleap tells it (P10).
                known = {it for it in named(event) if it in theatre.rights}
                assert all(theatre.may_see(groups, it) for it in known), (event, body)
                if event["cmd"] == "user:leave":
                    assert event["data"] in whereabouts[observer]
                if event["cmd"] == "testmanagement_podium:update":
                    assert scores(event["data"]) == podium(groups)
            assert all(theatre.may_see(groups, int(it)) for it in observer.presences())
            assert scores(observer.podium()) == podium(groups)
    for (groups, observer), (subscription, position) in zip(theatre.observers, positions, strict=True):
        for event in observer.missed(subscription, position):
            assert event["cmd"] not in ("testmanagement_user:presence", "user:leave")
            assert all(theatre.may_see(groups, it) for it in named(event) if it in theatre.rights)
            if event["cmd"] == "testmanagement_podium:update":
                assert scores(event["data"]) == podium_now(theatre, groups)


def scores(standings: list[dict[str, Any]]) -> dict[int, int]:
    return {it["user"]["id"]: it["score"] for it in standings}


def expected_podium(theatre: Theatre) -> Any:
    return lambda groups: podium_now(theatre, groups)


def podium_now(theatre: Theatre, groups: list[str]) -> dict[int, int]:
    """By the last post of each execution."""
    last: dict[int, Any] = {}
    deleted: set[int] = set()
    for record in theatre.world.journal.records:
        message = getattr(record.input, "message", None)
        if message is None or message.topic != CAMPAIGN:
            continue
        data = plain(message.data_json)
        if message.cmd == "testmanagement_execution:delete":
            deleted.add(data["artifact_id"])
            last.pop(data["artifact_id"], None)
        elif message.cmd == "testmanagement_execution:create":
            deleted.discard(data["artifact_id"])
        elif message.cmd == "testmanagement_execution:update" and data["artifact_id"] not in deleted:
            last[data["artifact_id"]] = data["status"], data["user"]["id"]
    authors = [
        author
        for execution, (status, author) in last.items()
        if status != "notrun" and theatre.may_see(groups, execution)
    ]
    return dict(Counter(authors))


@given(STEPS)
def test_the_same_records_give_the_same_publications_on_another_node(steps: list[Any]) -> None:
    theatre = Theatre(stands_still=False)
    for step in steps:
        theatre.act(step)
    world = theatre.world
    elsewhere = Campaigns(max=1000, idle_seconds=172_800)
    published = [
        publication
        for record in world.journal.records
        for publication in publications_for(
            record.input,
            record.at,
            elsewhere,
            lambda index, at=record.position: publication_id(world.journal.epoch, at, index),  # type: ignore[misc]
        )
    ]
    assert [described(it) for it in published] == [described(it) for it in world.published]


def described(publication: Any) -> Any:
    parts = [publication.view(frozenset(groups), None) for groups in GROUPS]
    return publication.id, publication.topic, plain(publication.kwargs), plain(parts), publication.replay
