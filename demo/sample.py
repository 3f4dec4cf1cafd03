"""The first content of the substitute: one kanban and one campaign, of which each user sees another part."""

from collections.abc import Callable, Iterable
from itertools import count

from demo.campaign import TRACKER, Campaign, Execution
from demo.kanban import ARCHIVE, BACKLOG, Card, Column, Kanban
from demo.posts import Rights
from demo.users import ADMIN, TESTERS, Directory

KANBAN = 3
CAMPAIGN = 9

CONFIDENTIAL = (ADMIN, TESTERS)
"""The groups of an artifact that not every member may see."""

TODO, DOING, REVIEW = 6580, 6816, 15343

_CARDS = (
    # id, label, column, submitter, whether it is confidential, colour
    (301, "Export the backlog as a spreadsheet", BACKLOG, 102, False, "blue"),
    (302, "Sign in with a passkey", TODO, 101, False, "green"),
    (303, "Supplier's invoice does not match the order", TODO, 140, False, "orange"),
    (304, "Rotate the leaked deployment key", TODO, 101, True, "red"),
    (
        305,
        "When a user pastes a very long title, the card grows and neither the column nor the page "
        "scrolls sideways, not even for Donaudampfschifffahrtselektrizitätenhauptbetriebswerk",
        TODO,
        102,
        False,
        "violet",
    ),
    (306, "Wheel of the guinea pig squeaks", DOING, 102, False, "green"),
    (307, "Deliver 40 kg of hay", DOING, 140, False, "orange"),
    (308, "Penetration test: findings", DOING, 102, True, "red"),
    (309, "Page loads in less than a second", REVIEW, 101, False, "blue"),
    (310, "Set up the project", ARCHIVE, 101, False, "blue"),
)

_EXECUTIONS = (
    # id, label, status, tested by, whether it is confidential, whether it is automated
    (39, "Log in with a good password", "passed", 102, False, False),
    (40, "Log in with an expired password", "notrun", None, False, False),
    (41, "Move a card by the keyboard", "failed", 101, False, False),
    (42, "Board with two hundred cards", "notrun", None, False, False),
    (43, "Try to read another user's ticket", "passed", 102, True, False),
    (44, "REST interface answers", "passed", 140, False, True),
    (
        45,
        "Read the board by a screen reader, with a title that goes on and on and on over several lines",
        "blocked",
        101,
        False,
        False,
    ),
)


class Tuleap:
    """The state of the substitute: accounts, kanbans and campaigns."""

    def __init__(self, more_cards: int = 0, *, is_empty: bool = False) -> None:
        """``more_cards`` is the number of cards beside those of the sample. If it is empty, it has no cards
        and no tests.
        """
        self.directory = Directory()
        new_id = count(16000).__next__
        self.kanban = _kanban(new_id, () if is_empty else _CARDS, more_cards)
        self.campaign = Campaign(CAMPAIGN, "Release 1.0", self.directory.users, new_id)
        users = self.directory.users
        for id, label, status, by, is_confidential, is_automated in () if is_empty else _EXECUTIONS:
            self.campaign.executions[id] = Execution(
                id=id,
                label=label,
                rights=Rights(
                    submitter_id=101, tracker=TRACKER, artifact=CONFIDENTIAL if is_confidential else ()
                ),
                status=status,
                author=users[by] if by else None,
                tested_by=users[by] if by else None,
                is_automated=is_automated,
            )


def _kanban(
    new_id: Callable[[], int],
    cards: Iterable[tuple[int, str, int | str, int, bool, str]],
    more_cards: int,
) -> Kanban:
    kanban = Kanban(KANBAN, "Guinea Pig", new_id)
    for id, label in ((TODO, "To do"), (DOING, "In progress"), (REVIEW, "Review")):
        kanban.columns.append(Column(id=id, label=label, limit=3 if id == DOING else None))
    for id, label, column, submitter_id, is_confidential, color in cards:
        rights = Rights(submitter_id=submitter_id, artifact=CONFIDENTIAL if is_confidential else ())
        kanban.add(Card(id=id, label=label, rights=rights, color=color), column)
    places = (BACKLOG, TODO, DOING, REVIEW)
    for number in range(more_cards):
        rights = Rights(submitter_id=101)
        card = Card(id=1000 + number, label=f"One more card, number {number + 1}", rights=rights)
        kanban.add(card, places[number % len(places)])
    return kanban
