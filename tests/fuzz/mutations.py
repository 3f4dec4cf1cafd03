"""What a hostile or broken client may send: noise, valid nonsense, and real messages with something wrong."""

import random
from collections.abc import Callable
from typing import Any

from tests.fakes import KANBAN
from tests.transport.sockets import HELLO
from tuleaprt.transport.serializers import Serializer

AUTHENTICATE = [5, "good", {}]
RIGHTS = {
    "submitter_id": 102,
    "submitter_can_view": True,
    "submitter_only": [],
    "artifact": [],
    "tracker": ["@a"],
}
GET_EVENTS = "wamp.subscription.get_events"
MESSAGES: list[list[Any]] = [
    HELLO,
    [
        1,
        "tuleap",
        {"roles": {"subscriber": {"features": {}}}, "authmethods": ["ticket"], "authextra": {"uuid": "u"}},
    ],
    AUTHENTICATE,
    [3, {"message": "bye"}, "wamp.error.x"],
    [6, {"message": "bye"}, "wamp.close.close_realm"],
    [8, 68, 1, {}, "wamp.error.x", [], {}],
    [16, 1, {"acknowledge": True, "exclude_me": False, "eligible": [1], "exclude_authid": ["1"]}, KANBAN],
    [
        16,
        2,
        {"eligible_authrole": [], "exclude": []},
        KANBAN,
        [],
        {"cmd": "kanban:x", "data": 1, "rights": RIGHTS},
    ],
    [32, 3, {}, KANBAN],
    [32, 4, {"match": "prefix"}, "org.tuleap."],
    [32, 5, {"match": "wildcard"}, "org..kanban."],
    [34, 6, 1],
    [48, 7, {}, GET_EVENTS, [1], {"limit": 1, "after_publication": 77, "from_time": "2026-01-01T00:00:00Z"}],
    [48, 8, {}, GET_EVENTS, [2], {"reverse": True, "topic": KANBAN, "until_publication": 1}],
    [48, 9, {"timeout": 1}, "wamp.session.list", [["user"]]],
    [48, 10, {}, "wamp.session.get", [5000]],
    [48, 11, {}, "wamp.subscription.lookup", [KANBAN, {"match": "prefix"}]],
    [48, 12, {}, "wamp.subscription.match", [KANBAN]],
    [49, 12, {"mode": "kill"}],
    [64, 13, {"match": "prefix"}, "my.procedure"],
    [66, 14, 15],
    [70, 16, {}, [], {}],
]
"""One of each kind, as a good client would send it; nothing that ends another session."""

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.0,
    2**53,
    2**53 + 1,
    2**63,
    1e308,
    "",
    "\0",
    "\n",
    "a b",
    KANBAN + "\n",
    "wamp.",
    "org.tuleap.secret",
    "x" * 300,
    "é\U0001f600",
    b"",
    b"\xff\x00",
    [],
    [[]],
    {},
    {"": ""},
    {"match": "suffix"},
    [[[[[[[[]]]]]]]],
]

Encode = Callable[[Any], bytes]


def nonsense(chance: random.Random, depth: int = 3) -> Any:
    """Some value that serializers know."""
    kind = chance.random()
    if depth and kind < 0.25:
        return [nonsense(chance, depth - 1) for _ in range(chance.randrange(4))]
    if depth and kind < 0.4:
        return {str(chance.choice(ODD)): nonsense(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(ODD)


def changed(chance: random.Random, value: Any) -> Any:
    """The value with one thing about it changed, at any depth."""
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        match chance.randrange(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return [*value[:at], nonsense(chance), *value[at:]]
            case _:
                return [*value[:at], changed(chance, value[at]), *value[at + 1 :]]
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        rest = {name: it for name, it in value.items() if name != key}
        match chance.randrange(4):
            case 0:
                return rest
            case 1:
                return rest | {str(chance.choice(ODD)): value[key]}
            case _:
                return value | {key: changed(chance, value[key])}
    return nonsense(chance)


def payload(chance: random.Random, serializer: Serializer) -> bytes:
    """What one frame holds."""
    match chance.randrange(10):
        case 0:
            return chance.randbytes(chance.randrange(60))
        case 1 | 2:
            return _encoded(
                [chance.choice([*range(80), None]), *(nonsense(chance) for _ in range(5))], serializer
            )
        case 3 | 4:
            good = bytearray(_encoded(chance.choice(MESSAGES), serializer))
            for _ in range(chance.randrange(1, 4)):
                good[chance.randrange(len(good))] = chance.randrange(256)
            return bytes(good[: chance.randrange(len(good) + 1)] if chance.random() < 0.3 else good)
        case 5:
            return _encoded(chance.choice(MESSAGES), serializer)
        case _:
            return _encoded(changed(chance, chance.choice(MESSAGES)), serializer)


def _encoded(value: Any, serializer: Serializer) -> bytes:
    return serializer.encode(value)
