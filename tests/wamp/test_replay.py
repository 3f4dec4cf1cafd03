"""The replay of missed publications."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import KANBAN, Member, identity, new_realm, publication, untold
from tuleaprt.errors import InvalidArgument, InvalidUri, NoSuchSubscription
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.calls import Arguments, Result
from tuleaprt.wamp.history import SLOT_BYTES
from tuleaprt.wamp.identifiers import MAX_ID, Match
from tuleaprt.wamp.publication import Audience, Kwargs, Replay, Window
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.replay import EVENT_BYTES, PAGE_BYTES, get_events

NOW = 1773500966.0
OTHER = "org.tuleap.kanban.4"
WORDS = ("from", "after", "before", "until")


class Home:
    """A realm with a session that has subscribed to a topic or pattern."""

    def __init__(self, topic: str = KANBAN, match: Match = Match.EXACT, **limits: Any) -> None:
        self.realm = new_realm(**limits)
        self.topic, self.match = topic, match
        self.member = Member()
        self.id = self.subscribe(self.member)

    def subscribe(self, member: Member) -> int:
        ids: list[int] = []
        self.realm.join(member, NOW)
        self.realm.subscribe(member, self.topic, self.match, NOW, ids.append)
        return ids[0]

    def publish(self, *ids: int, at: float = NOW, **of_publication: Any) -> None:
        for id in ids:
            self.realm.publish(publication(id=id, **of_publication), at)

    def ask(self, caller: Member | None = None, now: float = NOW, **conditions: object) -> Result:
        return get_events(self.realm, caller or self.member, Arguments([self.id], conditions), now)

    def ids(self, caller: Member | None = None, **conditions: object) -> list[int]:
        """The ids of the replayed publications."""
        return [it["publication"] for it in self.ask(caller, **conditions).args]

    def said(self, name: str, **conditions: object) -> Any:
        """Of the keyword results, this one."""
        return (self.ask(**conditions).kwargs or {})[name]


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
def spread() -> Home:
    """Publications of two topics, heard by a pattern, the third and fourth at the same moment."""
    home = Home("org.tuleap.", Match.PREFIX)
    home.publish(1, at=NOW)
    home.publish(2, at=NOW + 0.000001, topic=OTHER)
    home.publish(3, 4, at=NOW + 1.5)
    home.publish(5, at=NOW + 60, topic=OTHER)
    return home


# What an event looks like.


def test_an_event_is_told_with_its_time_its_id_and_its_payload(home: Home) -> None:
    home.publish(7, at=NOW + 0.25, args=[1], kwargs={"cmd": "kanban:delete"})
    result = home.ask()
    assert result.args == [
        {
            "timestamp": "2026-03-14T15:09:26.250000Z",
            "subscription": home.id,
            "publication": 7,
            "details": {},
            "args": [1],
            "kwargs": {"cmd": "kanban:delete"},
        }
    ]
    assert result.kwargs == {"position": 7, "position_lost": False, "more": False}


@pytest.mark.parametrize(
    ("topic", "match", "details"),
    [
        (KANBAN, Match.EXACT, {}),
        ("org.tuleap.", Match.PREFIX, {"topic": KANBAN}),
        ("org..kanban.", Match.WILDCARD, {"topic": KANBAN}),
    ],
)
def test_the_topic_is_told_to_those_who_cannot_know_it(topic: str, match: Match, details: object) -> None:
    home = Home(topic, match)
    home.publish(7)
    assert [it["details"] for it in home.ask().args] == [details]


def test_what_was_published_before_anybody_listened_is_told() -> None:
    home = Home()
    home.realm.leave(home.member)
    home.publish(7)
    home.member = Member()
    home.id = home.subscribe(home.member)
    assert home.ids() == [7]


def test_what_is_too_old_is_not_told() -> None:
    home = Home(seconds=10)
    home.publish(7)
    assert len(home.ask(now=NOW + 9).args) == 1
    assert len(home.ask(now=NOW + 10).args) == 0


# Conditions.


def test_without_conditions_all_is_told_in_order(spread: Home) -> None:
    assert spread.ids() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({"limit": 2}, [1, 2]),
        ({"limit": 9}, [1, 2, 3, 4, 5]),
        ({"reverse": True}, [5, 4, 3, 2, 1]),
        ({"reverse": False}, [1, 2, 3, 4, 5]),
        ({"reverse": True, "limit": 2}, [5, 4]),
        ({"topic": OTHER}, [2, 5]),
        ({"topic": "org.tuleap.kanban.5"}, []),
        ({"from_publication": 3}, [3, 4, 5]),
        ({"after_publication": 3}, [4, 5]),
        ({"before_publication": 3}, [1, 2]),
        ({"until_publication": 3}, [1, 2, 3]),
        ({"after_publication": 3.0}, [4, 5]),
        ({"after_publication": 5}, []),
        ({"from_time": "2026-03-14T15:09:27.5Z"}, [3, 4, 5]),
        ({"after_time": "2026-03-14T15:09:27.5Z"}, [5]),
        ({"before_time": "2026-03-14T15:09:27.5Z"}, [1, 2]),
        ({"until_time": "2026-03-14T15:09:27.5Z"}, [1, 2, 3, 4]),
        ({"from_time": "2026-03-14T16:09:27.5+01:00"}, [3, 4, 5]),
        ({"after_time": "2026-03-14T15:09:26Z", "until_time": "2026-03-14T15:09:27.5Z"}, [2, 3, 4]),
        ({"after_publication": 1, "before_publication": 5}, [2, 3, 4]),
        ({"after_publication": 1, "topic": OTHER, "limit": 1}, [2]),
        ({"from_publication": 2, "before_time": "2026-03-14T15:09:27.5Z"}, [2]),
        ({"after_publication": 4, "before_publication": 2}, []),
        ({"after_publication": 2, "from_publication": 4}, [4, 5]),
        ({"until_publication": 4, "reverse": True, "limit": 2}, [4, 3]),
        (dict.fromkeys(["limit", "reverse", "topic", "after_publication", "from_time"]), [1, 2, 3, 4, 5]),
    ],
)
def test_all_conditions_hold_together(
    spread: Home, conditions: dict[str, object], ids: list[int] | None
) -> None:
    assert spread.ids(**conditions) == ids
    assert spread.said("position_lost", **conditions) is False
    assert spread.said("more", **conditions) is False


def test_the_topic_of_a_subscription_without_a_pattern_may_be_named_too(home: Home) -> None:
    home.publish(7)
    assert (home.ids(topic=KANBAN), home.ids(topic=OTHER)) == ([7], [])


def test_what_is_not_told_has_a_place_but_no_topic(spread: Home) -> None:
    spread.realm.publish(untold(id=6, topic=OTHER), NOW + 60)
    assert spread.ids(topic=OTHER, after_publication=2) == [5]
    assert (spread.said("position"), spread.ids(until_publication=6, after_publication=4)) == (6, [5])


@given(st.lists(st.floats(0, 1) | st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_a_timestamp_that_was_told_divides_the_events_exactly(
    offsets: list[float], data: st.DataObject
) -> None:
    home = Home()
    for id, offset in enumerate(offsets, 1):
        home.publish(id, at=NOW + offset)
    told = home.ask().args
    chosen = data.draw(st.sampled_from(told))["timestamp"]
    before = [it["publication"] for it in told if it["timestamp"] < chosen]
    then = [it["publication"] for it in told if it["timestamp"] == chosen]
    later = [it["publication"] for it in told if it["timestamp"] > chosen]
    assert home.ids(before_time=chosen) == before
    assert home.ids(until_time=chosen) == sorted(before + then)
    assert home.ids(from_time=chosen) == sorted(then + later)
    assert home.ids(after_time=chosen) == later


def test_with_a_limit_of_nothing_only_the_position_is_told(home: Home) -> None:
    home.publish(7, 8)
    assert home.ask(limit=0) == Result(args=[], kwargs={"position": 8, "position_lost": False, "more": False})


# The position after which the replay begins.


def test_who_asks_for_the_position_first_misses_nothing_afterwards(home: Home) -> None:
    position = home.said("position", limit=0)
    assert (home.ids(after_publication=position), home.said("position_lost", after_publication=position)) == (
        [],
        False,
    )
    home.publish(7, 8)
    assert home.ids(after_publication=position) == [7, 8]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("id", [99, MAX_ID])
def test_an_unknown_place_is_said_to_be_lost(home: Home, word: str, id: int) -> None:
    home.publish(7)
    assert home.ask(**{f"{word}_publication": id}) == Result(
        args=[], kwargs={"position": 7, "position_lost": True, "more": False}
    )


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("gone", [1, 2])
def test_of_what_has_gone_only_what_came_after_the_last_is_known(word: str, gone: int) -> None:
    home = Home(events_per_topic=2)
    home.publish(1, 2, 3, 4)
    condition = {f"{word}_publication": gone}
    is_known = (word, gone) == ("after", 2)
    assert home.ids(**condition) == ([3, 4] if is_known else [])
    assert home.said("position_lost", **condition) is not is_known


def test_one_lost_place_is_enough(home: Home) -> None:
    home.publish(7, 8)
    assert home.ids(after_publication=7, until_publication=99) == []
    assert home.said("position_lost", after_publication=7, until_publication=99) is True


# Pages.


def read_on(home: Home) -> list[list[int]]:
    """Page after page, from the first, each after the last event of the page before."""
    pages: list[list[int]] = []
    conditions: dict[str, object] = {}
    while True:
        result = home.ask(**conditions)
        pages.append([it["publication"] for it in result.args])
        if not (result.kwargs or {})["more"]:
            return pages
        conditions = {"after_publication": pages[-1][-1]}


def test_a_page_holds_what_half_of_a_message_does(home: Home) -> None:
    home.member.outlet.longest = 2 * 3 * (EVENT_BYTES + 1000)
    home.publish(*range(1, 8), size=1000)
    assert read_on(home) == [[1, 2, 3], [4, 5, 6], [7]]


def test_a_page_is_no_longer_for_a_peer_that_takes_more(home: Home) -> None:
    home.member.outlet.longest = 2**30
    home.publish(1, 2, 3, size=PAGE_BYTES // 2 - EVENT_BYTES)
    assert read_on(home) == [[1, 2], [3]]


def test_an_event_that_is_too_long_for_a_page_has_its_own(home: Home) -> None:
    home.publish(1, 3, size=10)
    home.publish(4, size=2 * PAGE_BYTES)
    home.publish(5, size=10)
    assert read_on(home) == [[1, 3], [4], [5]]


def test_a_page_of_the_newest_is_continued_backwards(home: Home) -> None:
    home.publish(1, 2, 3, size=PAGE_BYTES // 2 - EVENT_BYTES)
    assert (home.ids(reverse=True), home.said("more", reverse=True)) == ([3, 2], True)
    assert home.ids(reverse=True, before_publication=2) == [1]


def test_nothing_is_more_than_the_limit(home: Home) -> None:
    home.publish(1, 2, 3)
    assert home.said("more", limit=2) is False


def test_what_the_caller_may_not_see_takes_no_room_on_his_page(home: Home) -> None:
    home.publish(1)
    home.publish(2, size=2 * PAGE_BYTES, view=lambda groups, user_id: None)
    home.publish(3)
    assert (home.ids(), home.said("more")) == ([1, 3], False)


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=20),
    st.integers(2, 10_000),
)
def test_page_after_page_everything_is_told_once(events: list[tuple[int, bool]], longest: int) -> None:
    home = Home()
    home.member.outlet.longest = longest
    for id, (size, is_told) in enumerate(events, 1):
        if is_told:
            home.publish(id, size=size)
        else:
            home.realm.publish(untold(id=id), NOW)
    pages = read_on(home)
    assert [id for page in pages for id in page] == [id for id, (_, told) in enumerate(events, 1) if told]
    assert all(pages) or len(pages) == 1


# The receivers of replayed publications.


def test_the_view_is_asked_for_the_caller_as_he_is_now(home: Home) -> None:
    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return {"for": sorted(groups)} if groups else None

    home.publish(7, view=view)
    for groups in (["@a"], [], ["@b"]):
        home.member.identity = identity(groups=groups)
        assert [it["kwargs"] for it in home.ask().args] == ([{"for": groups}] if groups else [])


def test_the_view_is_asked_with_the_user_id_of_the_caller(home: Home) -> None:
    seen: list[int | None] = []
    home.publish(7, view=lambda groups, user_id: seen.append(user_id))
    home.ask()
    home.member.identity = identity(103)
    home.ask()
    assert seen == [102, 103]


@pytest.mark.parametrize(
    ("user_id", "window", "ids"),
    [(102, "u", [8]), (102, "v", [7, 8]), (102, None, [7, 8]), (103, "u", [7, 8])],
)
def test_the_senders_window_is_not_told_what_it_sent(
    home: Home, user_id: int, window: str | None, ids: list[int]
) -> None:
    home.publish(7, sender=Window(102, "u"))
    home.publish(8)
    member = Member(user_id=user_id)
    member.window = window
    home.subscribe(member)
    assert home.ids(member) == ids


@pytest.mark.parametrize(
    "audience",
    [
        Audience(eligible_authid=frozenset({"103"})),
        Audience(eligible_authid=frozenset()),
        Audience(exclude_authid=frozenset({"102"})),
        Audience(eligible_authrole=frozenset({"operator"})),
        Audience(exclude_authrole=frozenset({"user"})),
        Audience(publisher=5000),
        Audience(eligible=frozenset({5000})),
        Audience(exclude=frozenset({1})),
    ],
)
def test_the_publishers_conditions_hold_afterwards_too(home: Home, audience: Audience) -> None:
    home.publish(6)
    home.publish(7, audience=audience)
    assert (home.member.id, home.ids(), home.said("position")) == (5000, [6], 7)


def test_a_user_who_was_named_is_told_in_his_next_session(home: Home) -> None:
    home.publish(7, audience=Audience(eligible_authid=frozenset({"103"}), publisher=5000))
    member = Member(user_id=103)
    home.subscribe(member)
    assert home.ids(member) == [7]


def test_operators_are_told_everything(home: Home) -> None:
    home.publish(7, kwargs={"whole": True}, view=lambda groups, user_id: None, sender=Window(1, "u"), args=[])
    operator = Member(user_id=1, role=Role.OPERATOR)
    operator.window = "u"
    home.subscribe(operator)
    assert [it["kwargs"] for it in home.ask(operator).args] == [{"whole": True}]
    assert home.ids() == []


def test_nobody_is_told_of_a_subscription_that_is_not_his(home: Home) -> None:
    home.publish(7)
    for member in (Member(), Member(user_id=1, role=Role.OPERATOR)):
        home.realm.join(member, NOW)
        with pytest.raises(NoSuchSubscription):
            home.ask(member)


@pytest.mark.parametrize("end", [Realm.leave, lambda realm, member: realm.unsubscribe(member, 1)])
def test_nobody_is_told_of_a_subscription_that_has_ended(
    home: Home, end: Callable[[Realm, Member], None]
) -> None:
    assert home.id == 1
    end(home.realm, home.member)
    with pytest.raises(NoSuchSubscription):
        home.ask()


# Wrong arguments.


@pytest.mark.parametrize("args", [[], [None], [True], ["1"], [0], [1.5], [1, 2]])
def test_the_subscription_is_the_one_argument(home: Home, args: list[object]) -> None:
    with pytest.raises(InvalidArgument):
        get_events(home.realm, home.member, Arguments(args, {}), NOW)


def test_a_whole_number_that_came_as_a_float_is_an_id(home: Home) -> None:
    home.publish(7)
    assert len(get_events(home.realm, home.member, Arguments([float(home.id)], {}), NOW).args) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", -1),
        ("limit", True),
        ("limit", "5"),
        ("reverse", 1),
        ("topic", 5),
        *((f"{word}_publication", value) for word in WORDS for value in (0, True, "7", 7.5, [7])),
        *((f"{word}_time", value) for word in WORDS for value in (1000, True, "today", "2026-03-14")),
        ("unknown", 1),
        ("after", 7),
        ("subscription", 1),
    ],
)
def test_wrong_conditions(home: Home, name: str, value: object) -> None:
    home.publish(7)
    with pytest.raises(InvalidArgument):
        home.ask(**{name: value})


@pytest.mark.parametrize("topic", ["", "org.", "org..kanban", "a b", "a.b\n"])
def test_the_topic_that_is_asked_for_is_a_uri(home: Home, topic: str) -> None:
    with pytest.raises(InvalidUri):
        home.ask(topic=topic)


# Publications of which only the last is replayed, and publications that are not replayed.


def seen_by(*groups: str) -> Callable[[frozenset[str], int | None], Kwargs | None]:
    return lambda of, user_id: {"cmd": "x"} if of & set(groups) else None


def test_of_what_is_told_in_its_last_state_only_the_last_is_told(home: Home) -> None:
    home.publish(1, 2, replay=Replay.LAST)
    home.publish(3)
    home.publish(4, replay=Replay.LAST)
    home.publish(5)
    assert home.ids() == [3, 4, 5]
    assert home.ids(reverse=True) == [5, 4, 3]
    assert home.ids(limit=2) == [3, 4]
    assert home.ids(until_publication=4) == [3, 4]
    assert home.ids(after_publication=4) == [5]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({"until_publication": 2}, []),
        ({"before_publication": 3}, []),
        ({"until_publication": 3, "reverse": True}, [3]),
        ({"from_publication": 2, "before_publication": 4}, [3]),
    ],
)
def test_attack_a_condition_does_not_reopen_a_former_state(
    home: Home, conditions: dict[str, Any], ids: list[int]
) -> None:
    home.publish(1, 2, replay=Replay.LAST)
    home.publish(3)
    home.publish(4, replay=Replay.LAST)
    assert home.ids(**conditions) == ids


def test_it_is_the_last_that_the_asker_may_see(home: Home) -> None:
    home.publish(1, replay=Replay.LAST, view=seen_by("@a", "@b"))
    home.publish(2, replay=Replay.LAST, view=seen_by("@a"))
    home.publish(3, replay=Replay.LAST, view=seen_by("@c"))
    for groups, told in ((["@a"], [2]), (["@b"], [1]), (["@c"], [3]), (["@d"], [])):
        home.member.identity = identity(groups=groups)
        assert home.ids() == told


def test_of_a_pattern_it_is_the_last_of_each_topic() -> None:
    home = Home("org.tuleap.", Match.PREFIX)
    home.publish(1, 2, replay=Replay.LAST)
    home.publish(3, 4, topic=OTHER, replay=Replay.LAST)
    home.publish(5, replay=Replay.LAST)
    assert home.ids() == [4, 5]


def test_what_is_never_told_again_has_its_place_all_the_same(home: Home) -> None:
    home.publish(1)
    home.publish(2, replay=Replay.NEVER)
    assert home.ids() == [1]
    assert home.said("position") == 2
    home.publish(3)
    assert home.ids(after_publication=2) == [3]
    assert home.realm.history.weight == 3 * SLOT_BYTES + 2 * 100
