"""What Tuleap lets a session do."""

from tuleaprt.tuleap.topics import is_room_topic
from tuleaprt.wamp.auth import Identity, Role


class RoomPolicy:
    """A Policy: users subscribe to rooms, to those of their ticket if it lists any; operators to anything."""

    def may_subscribe(self, identity: Identity, topic: str) -> bool:
        if identity.role is Role.OPERATOR:
            return True
        return is_room_topic(topic) and (identity.topics is None or topic in identity.topics)
