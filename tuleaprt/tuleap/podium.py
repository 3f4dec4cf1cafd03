"""The podium of a campaign: the score of each user (contract 5.3: the rule of today's pages).

The score of a user is the number of executions whose latest result is the user's and is not ``notrun``.
Automated executions do not count. A reader receives the scores of the executions that the reader may see.
Scores are therefore kept by rights: a podium is the sum over the few values of rights that admit the
reader, however large the campaign.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.publication import JsonText

NOT_RUN = "notrun"

Standing = dict[str, Any]
"""``{"user": <Tuleap's representation>, "score": 3, "rank": 1}``. Users without a score are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The latest result of an execution. ``rights`` None: unknown, so no user may see it."""

    status: str | None
    author: int | None
    is_automated: bool
    rights: Rights | None

    @property
    def point(self) -> "Point | None":
        """The rights and the user of the point; None: the result gives none."""
        if self.author is None or self.is_automated or self.status == NOT_RUN:
            return None
        return self.rights, self.author


Point = tuple[Rights | None, int]


@dataclass(frozen=True, slots=True)
class Podium:
    """The scores of a campaign at one moment. It is immutable; a change returns another one.

    ``scores`` are by rights and user id, without zeros. ``users`` are the users that have a score.
    """

    scores: Mapping[Rights | None, Mapping[int, int]] = field(default_factory=dict)
    users: Mapping[int, JsonText] = field(default_factory=dict)

    def standings(self, seen: Iterable[Rights | None]) -> list[Standing]:
        """The standings from the points with these rights, highest score first.

        Equal scores share a rank. The next rank counts all users above it.
        """
        total: Counter[int] = Counter()
        for rights in seen:
            total.update(self.scores.get(rights, {}))
        standings: list[Standing] = []
        for place, (user, score) in enumerate(sorted(total.items(), key=_highest_first), 1):
            shares = bool(standings) and standings[-1]["score"] == score
            rank = standings[-1]["rank"] if shares else place
            standings.append({"user": self.users[user], "score": score, "rank": rank})
        return standings

    def changed(self, lost: Point | None, won: Point | None, users: Mapping[int, JsonText]) -> "Podium":
        """The podium with one point less, one more, and new representations of some users."""
        scores = self.scores if lost == won else _with(_with(self.scores, lost, -1), won, 1)
        known = dict(self.users)
        for user, representation in users.items():
            if user in known or (won is not None and user == won[1]):
                known[user] = representation
        if lost is not None and not any(lost[1] in of_these for of_these in scores.values()):
            del known[lost[1]]
        unchanged = scores is self.scores and known == self.users
        return self if unchanged else Podium(scores, known)


def _highest_first(total: tuple[int, int]) -> tuple[int, int]:
    user, score = total
    return -score, user


def _with(
    scores: Mapping[Rights | None, Mapping[int, int]], point: Point | None, change: int
) -> Mapping[Rights | None, Mapping[int, int]]:
    if point is None:
        return scores
    rights, user = point
    of_these = {**scores.get(rights, {})}
    of_these[user] = of_these.get(user, 0) + change
    if not of_these[user]:
        del of_these[user]
    changed = {**scores, rights: of_these}
    if not of_these:
        del changed[rights]
    return changed


class Ledger:
    """The latest result of each execution of a campaign, and its podium."""

    def __init__(self) -> None:
        self._results: dict[int, Result] = {}
        self.podium = Podium()

    def __len__(self) -> int:
        return len(self._results)

    @property
    def executions(self) -> Set[int]:
        """The executions that have a result."""
        return self._results.keys()

    @property
    def results(self) -> Mapping[int, Result]:
        """The latest result of each execution."""
        return self._results

    def update(
        self,
        execution: int,
        *,
        status: str | None,
        author: int | None,
        user: JsonText,
        is_automated: bool | None,
        rights: Rights,
    ) -> None:
        """Set the result of the execution. ``is_automated`` None: as before."""
        if is_automated is None:
            former = self._results.get(execution)
            is_automated = former is not None and former.is_automated
        result = Result(status=status, author=author, is_automated=is_automated, rights=rights)
        self._put(execution, result, {} if author is None else {author: user})

    def regard(self, execution: int, rights: Rights) -> None:
        """Set the rights of the execution's result, if it has one."""
        if (result := self._results.get(execution)) is not None and result.rights != rights:
            self._put(execution, replace(result, rights=rights), {})

    def delete(self, execution: int) -> None:
        """Remove the execution's result."""
        self._put(execution, None, {})

    def replace(self, results: Mapping[int, Result], users: Mapping[int, JsonText]) -> None:
        """Replace all results."""
        known = {**self.podium.users, **users}
        self._results = dict(results)
        points = Counter(point for result in results.values() if (point := result.point) is not None)
        scores: dict[Rights | None, dict[int, int]] = {}
        for (rights, user), count in points.items():
            scores.setdefault(rights, {})[user] = count
        self.podium = Podium(scores, {user: known[user] for _, user in points})

    def _put(self, execution: int, result: Result | None, users: Mapping[int, JsonText]) -> None:
        former = self._results.pop(execution, None)
        if result is not None:
            self._results[execution] = result
        self.podium = self.podium.changed(
            former.point if former else None, result.point if result else None, users
        )
