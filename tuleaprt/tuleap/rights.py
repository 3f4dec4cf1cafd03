"""The rules of who may see a message (Tuleap's rule, contract 2.3) and who may see an execution.

::

    rights = {"submitter_id": 102, "submitter_can_view": true, "submitter_only": ["@ug_159"],
              "artifact": [], "tracker": ["@gpig_project_admin", "@site_active"], "field": {…}}

``field`` is ignored (contract 2.5). Messages about the structure of a kanban have none.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from msgspec import Meta

from tuleaprt.wamp.auth import Identity, Role

UserId = Annotated[int, Meta(ge=0, lt=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The rights of a message. An empty ``artifact`` list does not restrict (R2); an empty
    ``submitter_only`` admits none (R3).
    """

    submitter_id: UserId | None
    submitter_can_view: bool
    submitter_only: frozenset[str]
    artifact: frozenset[str]
    tracker: Annotated[frozenset[str], Meta(min_length=1)]

    def admit(self, groups: frozenset[str], user_id: int | None) -> bool:
        """Whether a user with these groups may see the message. ``user_id`` counts only if it is the
        submitter's.
        """
        # R1: the groups meet the tracker's, and
        # R2: the artifact is not restricted, or the groups meet the artifact's; or
        if not self.tracker.isdisjoint(groups) and not (self.artifact and self.artifact.isdisjoint(groups)):
            return True
        # R3: the user is the submitter, Tuleap says that the submitter may see it, and a group is in
        # submitter_only.
        return (
            self.submitter_can_view
            and user_id is not None
            and user_id == self.submitter_id
            and not self.submitter_only.isdisjoint(groups)
        )


def may_see(identity: Identity, rights: Rights | None) -> bool:
    """Whether a session may see something with these rights. Unknown rights (None) admit operators only."""
    if identity.role is Role.OPERATOR:
        return True
    return rights is not None and rights.admit(identity.groups, identity.user_id)


@dataclass(slots=True)
class _Known:
    rights: Rights
    is_deleted: bool = False


class ExecutionState(NamedTuple):
    """What is known of an execution, as a snapshot keeps it."""

    topic: str
    execution: int
    rights: Rights
    is_deleted: bool


class ExecutionsState(NamedTuple):
    """All executions, and those that were named last, the longest ago first."""

    known: list[ExecutionState]
    recent: list[tuple[str, int]]
    seeded: list[tuple[str, int]]


class Executions:
    """The newest rights of each execution, from any input. Everything that names an execution asks here.

    A user may see an execution if its newest rights admit the user. Unknown rights admit no user. Rights
    are kept as long as something may name the execution: it has a result or a viewer (``is_in_use`` says
    so for topic and execution), or it is one of the ``max_recent`` executions that were named last by
    messages, or by seeds. The two are counted apart, because one seed names thousands of executions.
    """

    def __init__(self, *, max_recent: int, is_in_use: Callable[[str, int], bool]) -> None:
        self._max_recent = max_recent
        self._is_in_use = is_in_use
        self._known: dict[tuple[str, int], _Known] = {}
        self._recent: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._seeded: OrderedDict[tuple[str, int], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def state(self) -> ExecutionsState:
        known = [ExecutionState(*key, it.rights, it.is_deleted) for key, it in self._known.items()]
        return ExecutionsState(known, list(self._recent), list(self._seeded))

    def restore(self, state: ExecutionsState) -> None:
        """Take over a snapshot."""
        self._known = {(it.topic, it.execution): _Known(it.rights, it.is_deleted) for it in state.known}
        self._recent = OrderedDict.fromkeys(state.recent)
        self._seeded = OrderedDict.fromkeys(state.seeded)

    def rights_of(self, topic: str, execution: int) -> Rights | None:
        """None: they are unknown."""
        known = self._known.get((topic, execution))
        return None if known is None else known.rights

    def admit(self, topic: str, execution: int, groups: frozenset[str], user_id: int | None) -> bool:
        """Whether a user with these groups may see the execution; ``user_id`` as in ``Rights.admit``."""
        known = self._known.get((topic, execution))
        return known is not None and known.rights.admit(groups, user_id)

    def is_deleted(self, topic: str, execution: int) -> bool:
        """False if nothing is known of the execution."""
        known = self._known.get((topic, execution))
        return known is not None and known.is_deleted

    def learn(self, topic: str, execution: int, rights: Rights) -> None:
        """Set the newest rights of the execution."""
        key = topic, execution
        if (known := self._known.get(key)) is None:
            self._known[key] = _Known(rights)
        else:
            known.rights = rights

    def mark(self, topic: str, execution: int, *, is_deleted: bool) -> None:
        """Note that a known execution has been deleted, or exists again."""
        if (known := self._known.get((topic, execution))) is not None:
            known.is_deleted = is_deleted

    def name(self, topic: str, execution: int, *, by_seed: bool = False) -> None:
        """Note that an input names the execution. The execution that was named longest ago may be dropped."""
        recent = self._seeded if by_seed else self._recent
        key = topic, execution
        if key not in self._known:
            return
        recent[key] = None
        recent.move_to_end(key)
        if len(recent) > self._max_recent:
            oldest, _ = recent.popitem(last=False)
            self.release(*oldest)

    def release(self, topic: str, execution: int) -> None:
        """Drop the execution if nothing can name it any more."""
        key = topic, execution
        is_recent = key in self._recent or key in self._seeded
        if key in self._known and not is_recent and not self._is_in_use(topic, execution):
            del self._known[key]
