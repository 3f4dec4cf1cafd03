"""Snapshots: everything that follows from the records up to one position, as bytes.

::

    octet 1     the version of the format, 1
    the rest    MessagePack, compressed by zlib

A server that starts takes over a snapshot and applies the records after it. The result is the same as if it
had applied all records (tests/relay/test_state.py). If records after the snapshot were lost, the ids of its
history are unknown from then on, so every page that resumes is told.
"""

import zlib
from dataclasses import dataclass

import msgspec

from tuleaprt.errors import CorruptRecord
from tuleaprt.tuleap.campaign import Campaigns, CampaignsState
from tuleaprt.tuleap.ticket import Revocations
from tuleaprt.wamp.history import HistoryState
from tuleaprt.wamp.realm import Realm

VERSION = b"\x01"


class _State(msgspec.Struct):
    campaigns: CampaignsState
    revoked_at: dict[int, float]
    groups: dict[int, tuple[float, frozenset[str]]]
    history: HistoryState


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The parts of the server that records change."""

    realm: Realm
    campaigns: Campaigns
    revocations: Revocations

    def snapshot(self) -> bytes:
        state = _State(
            campaigns=self.campaigns.state(),
            revoked_at=self.revocations.state(),
            groups=self.realm.credentials.state(),
            history=self.realm.history.state(),
        )
        return VERSION + zlib.compress(_encode(state), 1)

    def restore(self, body: bytes, *, is_followed: bool = True) -> None:
        """Take over a snapshot. The parts must be new. ``is_followed``: no record after it was lost.

        Raises:
            CorruptRecord: this is not a snapshot, or another version has written it.
        """
        if body[:1] != VERSION:
            raise CorruptRecord("another version has written the snapshot")
        try:
            state = _decode(zlib.decompress(body[1:]))
        except (ValueError, zlib.error) as error:
            raise CorruptRecord(f"the snapshot cannot be read: {type(error).__name__}") from None
        self.campaigns.restore(state.campaigns)
        self.revocations.restore(state.revoked_at)
        self.realm.credentials.restore(state.groups)
        if is_followed:
            self.realm.history.restore(state.history)
        else:
            self.realm.history.forget(state.history)
