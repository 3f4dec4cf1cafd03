"""Snapshots: everything that follows from the records up to one position, as bytes.

::

    octet 1     the version of the format, 1
    the rest    MessagePack, compressed by zlib

A server that starts takes over a snapshot and applies the records after it. The result is the same as if it
had applied all records (tests/relay/test_state.py). If a new epoch of the journal has begun since, records
after the snapshot may have been lost. Then the ids of the snapshot's history are unknown, so every page that
resumes is told.
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
    epoch: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The parts of the server that records change."""

    realm: Realm
    campaigns: Campaigns
    revocations: Revocations

    def snapshot(self, epoch: bytes) -> bytes:
        """``epoch`` is that of the journal."""
        state = _State(
            campaigns=self.campaigns.state(),
            revoked_at=self.revocations.state(),
            groups=self.realm.credentials.state(),
            history=self.realm.history.state(),
            epoch=epoch,
        )
        return VERSION + zlib.compress(_encode(state), 1)

    def restore(self, body: bytes, epoch: bytes) -> None:
        """Take over a snapshot. The parts must be new. ``epoch`` is that of the journal now.

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
        if state.epoch == epoch:
            self.realm.history.restore(state.history)
        else:
            self.realm.history.forget(state.history)
