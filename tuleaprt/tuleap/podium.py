"""Who has tested how much of a campaign (contract 5.3: the rule of today's pages).

A user's score is the number of executions whose latest result is his and is not ``notrun``; automated ones
do not count. Whoever asks gets the scores of the executions that he may see, so they are kept for each value
of rights: a podium is the sum of the few that he may see, whatever the size of the campaign.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.publication import JsonText

NOT_RUN = "notrun"

Standing = dict[str, Any]
"""``{"user": <as Tuleap represents him>, "score": 3, "rank": 1}``; who has no score is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The latest result of an execution. ``rights`` None: unknown, so that nobody may see it."""

    status: str | None
    author: int | None
    is_automated: bool
    rights: Rights | None

    @property
    def point(self) -> "Point | None":
        """Under which rights it is a point, and whose; None: it is none."""
        if self.author is None or self.is_automated or self.status == NOT_RUN:
            return None
        return self.rights, self.author


Point = tuple[Rights | None, int]


@dataclass(frozen=True, slots=True)
class Podium:
    """All scores of a campaign at one moment; a change makes another one.

    ``scores`` are by rights and user id, none of them 0; ``users`` are those who have one.
    """

    scores: Mapping[Rights | None, Mapping[int, int]] = field(default_factory=dict)
    users: Mapping[int, JsonText] = field(default_factory=dict)

    def standings(self, seen: Iterable[Rights | None]) -> list[Standing]:
        """Of the points under these rights: the highest score first. Equal scores share a rank.

        Those below count all who are above.
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
        """One point less, one more, and some users as they are represented now."""
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
    """The latest result of each execution of a campaign, and the podium that follows from them."""

    def __init__(self) -> None:
        self._results: dict[int, Result] = {}
        self.podium = Podium()

    def __len__(self) -> int:
        return len(self._results)

    @property
    def executions(self) -> Set[int]:
        """Those that have a result."""
        return self._results.keys()

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
        """The execution has this result; ``is_automated`` None: as before."""
        if is_automated is None:
            former = self._results.get(execution)
            is_automated = former is not None and former.is_automated
        result = Result(status=status, author=author, is_automated=is_automated, rights=rights)
        self._put(execution, result, {} if author is None else {author: user})

    def regard(self, execution: int, rights: Rights) -> None:
        """These are the rights of the execution from now on."""
        if (result := self._results.get(execution)) is not None and result.rights != rights:
            self._put(execution, replace(result, rights=rights), {})

    def delete(self, execution: int) -> None:
        """The execution has no result any more."""
        self._put(execution, None, {})

    def replace(self, results: Mapping[int, Result], users: Mapping[int, JsonText]) -> None:
        """These are the results, and no others."""
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
