"""URIs and ids by the rules of the WAMP specification (Identifiers)."""

import re
from hashlib import blake2b

MAX_ID = 2**53
"""The greatest id that JSON carries exactly (WAMP: IDs)."""

# WAMP, URIs, loose rule: components without whitespace, "." and "#", none of them empty.
_LOOSE_URI = re.compile(r"(?:[^\s.#]+\.)*[^\s.#]+")


def is_uri(text: str) -> bool:
    """Whether the text is a URI by the loose rule, without empty components.

    The whole text must match: Autobahn's own patterns end in ``$``, which lets one newline pass.
    """
    return _LOOSE_URI.fullmatch(text) is not None


def publication_id(epoch: bytes, position: int, index: int) -> int:
    """The id of publication ``index`` of the record at ``position``, 1…2^53-1.

    A keyed hash: equal on every node that reads the same journal, not to be guessed by anybody else, and
    never met again after the epoch (at most 64 bytes) has ended.
    """
    digest = blake2b(b"%d.%d" % (position, index), key=epoch, digest_size=8).digest()
    return int.from_bytes(digest) >> 11 or 1
