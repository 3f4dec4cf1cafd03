"""Whatever happens in campaigns, in whatever order: what must hold all the same."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests import campaigns as tuleap
from tests.campaigns import CAMPAIGN, rights
from tests.world import GRACE, MAX_LIFETIME, Window, World, plain
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.publications import publications_for
from tuleaprt.wamp.identifiers import publication_id

OTHER = "org.tuleap.testmanagement.10"
EXECUTIONS = (1, 2, 3)
STANDING = {1: ["@m"], 2: ["@a"], 3: ["@b"], 5: ["@m"]}
"""Who may see each execution, where rights stand still. 5 is of campaign 10."""

GROUPS = (["@m"], ["@m", "@a"], ["@b"], ["@m", "@a", "@b"], [])
USERS = (101, 102, 103)

IDLE = 172_800
LAST_VIEWER = MAX_LIFETIME + GRACE
"""After so many seconds without a post no window is on an execution any more."""

PODIUM = "testmanagement_podium:update"
VERBATIM = tuple(f"testmanagement_execution:{it}" for it in ("create", "update", "delete", "link_artifact"))

execution = st.sampled_from(EXECUTIONS)
user = st.sampled_from(USERS)
# Two users share a uuid.
uuids = {101: "u-a", 102: "u-b", 103: "u-a"}
tracker = st.sampled_from([["@m"], ["@a"], ["@b"], ["@m", "@a"]])

POSTS = st.one_of(
    st.tuples(st.just("presence"), user, execution, st.none() | st.sampled_from([*EXECUTIONS, 77]), tracker),
    st.tuples(st.just("elsewhere"), user),
    st.tuples(st.just("update"), user, execution, st.sampled_from(["passed", "failed", "notrun"]), tracker),
    st.tuples(st.just("delete"), execution, tracker),
    st.tuples(st.just("create"), execution, tracker),
    st.tuples(st.just("link"), execution, tracker),
)
SEED = st.tuples(
    st.just("seed"),
    st.dictionaries(execution, st.tuples(st.sampled_from(["passed", "notrun"]), user, st.none() | tracker)),
)
STEPS = st.lists(
    POSTS
    | st.tuples(st.just("arrive"), user, execution, tracker)
    | st.tuples(st.just("open"), user)
    | st.tuples(st.just("close"), user)
    | st.tuples(st.just("unsubscribe"), user)
    | st.tuples(st.just("wait"), st.sampled_from([1, GRACE - 1, GRACE]))
    | SEED
    | st.tuples(st.sampled_from(["another", "idle", "restart"])),
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
    """A server with testers, and observers that only subscribe; and the expected results.

    ``rights`` are the newest of each execution of campaign 9, ``results`` the source of the podium.
    """

    def __init__(self, *, stands_still: bool, max_campaigns: int = 1000) -> None:
        self.stands_still = stands_still
        self.max_campaigns = max_campaigns
        self.restart()

    def restart(self) -> None:
        self.world = World(max_campaigns=self.max_campaigns, idle_seconds=IDLE)
        self.testers: dict[int, Window] = {}
        self._open_observers()
        self.positions = [window.position()[1] for _, window in self.observers]
        self.rights: dict[int, list[str]] = {}
        self.results: dict[int, tuple[str, int]] = {}
        self.deleted: set[int] = set()
        self.messages: list[dict[str, Any]] = []

    def _open_observers(self) -> None:
        """Their tokens end after ``MAX_LIFETIME``."""
        self.observers = []
        for id, groups in enumerate(GROUPS, 201):
            window = self.world.open(id, groups, f"observer {id}")
            window.subscribe(CAMPAIGN)
            window.take()
            self.observers.append((groups, window))

    def act(self, step: Any) -> dict[str, Any] | None:
        """Do a step; what was posted, if something was."""
        kind, *rest = step
        if kind == "wait":
            self.world.wait(*rest)
        elif kind == "restart":
            self.restart()
        elif kind == "idle":
            self.world.wait(IDLE + LAST_VIEWER)
            self._open_observers()
            return self.act(("another", True))
        elif kind == "seed":
            self._seed(*rest)
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
            if body["cmd"] in VERBATIM and body["room_id"] == "testmanagement_9":
                self.messages.append(body)
            assert self.world.post(body) != 422
            return body  # type: ignore[no-any-return]
        return None

    def _seed(self, listed: dict[int, tuple[str, int, list[str] | None]]) -> None:
        entries = []
        for execution, (status, author, tracker) in listed.items():
            of = None if tracker is None else self._of(execution, tracker)
            entries.append(
                {
                    "execution_id": execution,
                    "status": status,
                    "user": {"id": author},
                    "rights": of and {key: value for key, value in of.items() if key != "field"},
                }
            )
        self.results = {execution: (status, author) for execution, (status, author, _) in listed.items()}
        self.deleted -= listed.keys()
        self.world.seed(CAMPAIGN, entries)

    def _of(self, execution: int, tracker: list[str]) -> dict[str, Any]:
        self.rights[execution] = STANDING[execution] if self.stands_still else tracker
        return rights(self.rights[execution])

    def _another(self, is_idle: bool = False) -> Any:
        """Campaign 9 is forgotten when another one is named and it has no viewers."""
        if (is_idle or self.max_campaigns == 1) and not self.world.campaigns.presence.viewers(CAMPAIGN):
            self.results = {}
        return tuleap.create(5, campaign=10, rights=rights(STANDING[5]))

    def _presence(self, id: int, execution: int, left: int | None, tracker: list[str]) -> Any:
        of = self._of(execution, tracker)
        return tuleap.presence(id, execution, left, uuid=uuids[id], rights=of)

    def _elsewhere(self, id: int) -> Any:
        self._another()
        return tuleap.presence(id, 5, uuid=uuids[id], campaign=10, rights=rights(STANDING[5]))

    def _update(self, id: int, execution: int, status: str, tracker: list[str]) -> Any:
        of = self._of(execution, tracker)
        if execution not in self.deleted:
            self.results[execution] = status, id
        return tuleap.update(id, execution, status, uuid=uuids[id], rights=of)

    def _delete(self, execution: int, tracker: list[str]) -> Any:
        self.deleted.add(execution)
        self.results.pop(execution, None)
        return tuleap.delete(execution, rights=self._of(execution, tracker))

    def _create(self, execution: int, tracker: list[str]) -> Any:
        self.deleted.discard(execution)
        return tuleap.create(execution, rights=self._of(execution, tracker))

    def _link(self, execution: int, of_the_bug: list[str]) -> Any:
        return tuleap.link(execution, rights=rights(of_the_bug))

    def admits(self, groups: list[str], body: dict[str, Any]) -> bool:
        """Whether a user with these groups may see this message of campaign 9 now."""
        own = body["rights"]["tracker"]
        return not set(groups).isdisjoint(own) and self.may_see(groups, body["data"]["artifact_id"])

    def podium(self, groups: list[str]) -> dict[int, int]:
        """The score of each user."""
        return dict(
            Counter(
                author
                for execution, (status, author) in self.results.items()
                if status != "notrun" and self.may_see(groups, execution)
            )
        )

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
        if step[0] in ("restart", "idle"):
            shown = [{} for _ in theatre.observers]
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


@given(STEPS, st.sampled_from([1, 1000]))
@example([("update", 101, 3, "passed", ["@a"]), ("update", 101, 3, "passed", ["@b"]), ("another",)], 1)
@example([("update", 101, 3, "passed", ["@a"]), ("seed", {3: ("passed", 102, ["@b"])}), ("another",)], 1)
@example([("create", 3, ["@b"]), ("another",), ("link", 3, ["@a"])], 1)
@example([("create", 3, ["@b"]), ("restart",), ("link", 3, ["@b"])], 1000)
def test_readers_get_of_each_execution_exactly_what_its_newest_rights_admit(
    steps: list[Any], max_campaigns: int
) -> None:
    """Live, from the snapshots and from the history; after campaigns were forgotten and servers restarted."""
    theatre = Theatre(stands_still=False, max_campaigns=max_campaigns)
    for step in steps:
        whereabouts, before = {}, {}
        for _, observer in theatre.observers:
            whereabouts[observer] = {it["uuid"] for each in observer.presences().values() for it in each}
            before[observer] = scores(observer.podium())
        body = theatre.act(step)
        for groups, observer in theatre.observers:
            events = observer.events()
            verbatim = [it for it in events if it["cmd"] in VERBATIM]
            is_shown = body in theatre.messages and theatre.admits(groups, body or {})
            assert [it["data"] for it in verbatim] == ([body["data"]] if body and is_shown else [])
            for event in events:
                # Of an execution that was never heard of, the bare id is told as Tuleap tells it (P10).
                known = {it for it in named(event) if it in theatre.rights}
                assert all(theatre.may_see(groups, it) for it in known), (event, body)
                if event["cmd"] == "user:leave":
                    assert event["data"] in whereabouts[observer]
            podium = theatre.podium(groups)
            assert scores(observer.podium()) == podium
            told = [scores(it["data"]) for it in events if it["cmd"] == PODIUM]
            assert all(it == podium for it in told)
            if podium and podium != before.get(observer):
                assert told
            assert seen_by_operators(theatre, groups) == observer.presences()
    for (groups, observer), position in zip(theatre.observers, theatre.positions, strict=True):
        missed = observer.missed(observer.position()[0], position)
        readable = [it["data"] for it in theatre.messages if theatre.admits(groups, it)]
        assert [it["data"] for it in missed if it["cmd"] in VERBATIM] == readable
        podium = theatre.podium(groups)
        told = [scores(it["data"]) for it in missed if it["cmd"] == PODIUM]
        assert told == [podium] if podium else not any(told)
        assert all(it["cmd"] in {*VERBATIM, PODIUM} for it in missed)


def seen_by_operators(theatre: Theatre, groups: list[str]) -> dict[str, list[Any]]:
    """The viewers of the executions that a user with these groups may see."""
    operator = theatre.world.open(1, [], role="operator")
    viewers = operator.presences()
    operator.close()
    return {key: it for key, it in viewers.items() if theatre.may_see(groups, int(key))}


def scores(standings: list[dict[str, Any]]) -> dict[int, int]:
    return {it["user"]["id"]: it["score"] for it in standings}


@given(STEPS)
def test_the_same_records_give_the_same_publications_on_another_node(steps: list[Any]) -> None:
    theatre = Theatre(stands_still=False)
    for step in steps:
        theatre.act(step)
    world = theatre.world
    elsewhere = Campaigns(max=1000, idle_seconds=172_800, max_publications=1000)
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
