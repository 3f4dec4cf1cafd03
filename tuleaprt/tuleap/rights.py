"""Who receives a message: Tuleap's rule, exactly (contract 2.3).

::

    rights = {"submitter_id": 102, "submitter_can_view": true, "submitter_only": ["@ug_159"],
              "artifact": [], "tracker": ["@gpig_project_admin", "@site_active"], "field": {…}}

``field`` is sent but never looked at (contract 2.5); messages of a kanban's structure have none.
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from tuleaprt.wamp.auth import Identity, Role

UserId = Annotated[int, Meta(ge=0, lt=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The rights of a message. The two empty lists mean opposite things: R2 everybody, R3 nobody."""

    submitter_id: UserId | None
    submitter_can_view: bool
    submitter_only: frozenset[str]
    artifact: frozenset[str]
    tracker: Annotated[frozenset[str], Meta(min_length=1)]

    def admit(self, groups: frozenset[str], user_id: int | None) -> bool:
        """Whether somebody with these groups receives it; ``user_id`` matters if he is the submitter."""
        # R1: his groups meet those of the tracker, and
        # R2: the artifact is not restricted, or his groups meet those of the artifact; or
        if not self.tracker.isdisjoint(groups) and not (self.artifact and self.artifact.isdisjoint(groups)):
            return True
        # R3: he submitted it, may see it by Tuleap's own verdict, and is in a submitter-only group.
        return (
            self.submitter_can_view
            and user_id is not None
            and user_id == self.submitter_id
            and not self.submitter_only.isdisjoint(groups)
        )


def may_see(identity: Identity, rights: Rights | None) -> bool:
    """Whether a session may see what has these rights. What has none that are known is for operators only."""
    if identity.role is Role.OPERATOR:
        return True
    return rights is not None and rights.admit(identity.groups, identity.user_id)
