"""What Tuleap lets a session do."""

from tuleaprt.tuleap.topics import room_id
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.identifiers import Match


class RoomPolicy:
    """A Policy: users subscribe to rooms, to those of their ticket if it lists any; operators to anything."""

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool:
        if identity.role is Role.OPERATOR:
            return True
        if match is not Match.EXACT or room_id(topic) is None:
            return False
        return identity.topics is None or topic in identity.topics
