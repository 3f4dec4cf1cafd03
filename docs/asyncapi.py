"""Prints docs/asyncapi.json, the description of the topics and procedures for machines (AsyncAPI 3.0)::

python docs/asyncapi.py > docs/asyncapi.json

The payload of an event is its keywords (WAMP: ``kwargs``). The payload of a call, and that of its answer, are
the arguments and the keywords (docs/wamp.rst).
"""

import json
from typing import Any

from tuleaprt.relay.procedures import PODIUM as CALL_PODIUM
from tuleaprt.relay.procedures import PRESENCES as CALL_PRESENCES
from tuleaprt.tuleap.commands import LEAVE, PODIUM, PRESENCE, SERVER_COMMANDS
from tuleaprt.tuleap.topics import MAX_ID, Family
from tuleaprt.wamp.procedures import REFRESH
from tuleaprt.wamp.publication import MAX_UUID_LENGTH
from tuleaprt.wamp.replay import GET_EVENTS

ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
ID_TEXT = {"anyOf": [ID, {"type": "string", "pattern": "^[1-9][0-9]*$"}]}
USER: dict[str, Any] = {"type": "object", "description": "Tuleap's representation of a user"}
VIEWERS = {"type": "array", "items": {"$ref": "#/components/schemas/Viewer"}}
TIME = {"type": "string", "format": "date-time"}
ROOMS = {
    Family.KANBAN: ("kanban", "The changes of a kanban."),
    Family.TESTMANAGEMENT: ("campaign", "The changes of a test campaign."),
}
FIRST_OR_LATER = ("from_publication", "after_publication", "until_publication", "before_publication")
TIMES = ("from_time", "after_time", "until_time", "before_time")


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def _event(cmd: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    return _object({"cmd": cmd, "data": data})


def _halves() -> dict[str, Any]:
    """Presence: a viewer has entered an execution, left one, or both (tuleap/announcements.py)."""
    text = {"type": "string", "pattern": "^[1-9][0-9]*$"}
    entered = {"execution_to_add": ID, "execution_presences_to_add": VIEWERS}
    left = {"execution_to_remove": text, "execution_presences_to_remove": VIEWERS}
    user = {"user": {"$ref": "#/components/schemas/Viewer"}}
    return {"oneOf": [_object(it) for it in (entered | user, left | user, entered | left | user)]}


def schemas() -> dict[str, Any]:
    anything = {"description": "the data of the post, unchanged"}
    change = "A change as Tuleap posted it. The commands are in docs/tuleap.rst."
    viewer = {"id": ID, "uuid": {"type": "string", "maxLength": MAX_UUID_LENGTH}}
    standing = {
        "user": USER,
        "score": {"type": "integer", "minimum": 1},
        "rank": {"type": "integer", "minimum": 1},
    }
    return {
        "KanbanChange": _event({"type": "string", "pattern": "^kanban"}, anything) | {"description": change},
        "CampaignChange": _event(
            {
                "type": "string",
                "pattern": "^testmanagement",
                "not": {"enum": sorted({PRESENCE, *SERVER_COMMANDS})},
            },
            anything,
        )
        | {"description": change},
        "Presence": _event({"const": PRESENCE}, _halves()),
        "Leave": _event(
            {"const": LEAVE}, {"type": "string", "description": "the uuid of the window that has left"}
        ),
        "Podium": _event({"const": PODIUM}, {"$ref": "#/components/schemas/Standings"}),
        "Viewer": {
            "type": "object",
            "description": "Tuleap's representation of a user, and the uuid of the window",
            "required": list(viewer),
            "properties": viewer,
        },
        "Standings": {
            "type": "array",
            "description": "highest score first; users without a score are left out",
            "items": _object(standing),
        },
    }


MESSAGES = {
    "KanbanChange": "A change of a kanban",
    "CampaignChange": "A change of a campaign",
    "Presence": "A viewer has entered or left an execution",
    "Leave": "A window has left the campaign",
    "Podium": "The podium has changed",
}
OF_ROOM = {
    Family.KANBAN: ("KanbanChange",),
    Family.TESTMANAGEMENT: ("CampaignChange", "Presence", "Leave", "Podium"),
}


def _payload(args: list[Any], kwargs: dict[str, Any] | None = None) -> dict[str, Any]:
    """``args`` are the schemas of the positional arguments."""
    positional: dict[str, Any] = {"type": "array", "minItems": len(args), "maxItems": len(args)}
    if args:
        positional |= {"items": args, "additionalItems": False}
    return _object({"args": positional, "kwargs": kwargs or _object({})})


def _history() -> tuple[dict[str, Any], dict[str, Any]]:
    conditions = {
        "limit": {"type": "integer", "minimum": 0},
        "reverse": {"type": "boolean"},
        "topic": {"type": "string"},
        **dict.fromkeys(FIRST_OR_LATER, ID),
        **dict.fromkeys(TIMES, TIME),
    }
    event = {
        "timestamp": TIME,
        "subscription": ID,
        "publication": ID,
        "details": {"type": "object"},
        "args": {"type": "array"},
        "kwargs": {"type": "object"},
    }
    events = {"type": "array", "items": _object(event)}
    known = _object({"position": ID}, {"position_lost": {"type": "boolean"}, "more": {"type": "boolean"}})
    return _payload([ID], _object({}, conditions)), _object({"args": events, "kwargs": known})


def procedures() -> dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """By name: the URI, a sentence, and the schemas of the call and of its answer."""
    presences = {
        "type": "object",
        "patternProperties": {"^[1-9][0-9]*$": VIEWERS},
        "additionalProperties": False,
    }
    expires = _object({"expires_at": {"type": "number", "description": "seconds since the epoch"}})
    return {
        "ping": (
            "org.tuleap.session.ping",
            "Test whether the connection is alive.",
            _payload([]),
            _payload([]),
        ),
        "refresh": (
            REFRESH,
            "Prolong the session with a newer token.",
            _payload([{"type": "string", "description": "the token"}]),
            _payload([expires]),
        ),
        "presences": (
            CALL_PRESENCES,
            "The viewers of a campaign.",
            _payload([ID_TEXT]),
            _payload([presences]),
        ),
        "podium": (
            CALL_PODIUM,
            "The podium of a campaign.",
            _payload([ID_TEXT]),
            _payload([{"$ref": "#/components/schemas/Standings"}]),
        ),
        "get_events": (GET_EVENTS, "The events that a page has missed, and the position.", *_history()),
    }


def channels() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for family, (name, sentence) in ROOMS.items():
        found[name] = {
            "address": f"{family.prefix}{{id}}",
            "description": f"{sentence} A client subscribes to it (WAMP: SUBSCRIBE, match exact).",
            "parameters": {"id": {"description": f"the number of the {name}, from 1 to 2^53-1"}},
            "messages": {it: {"$ref": f"#/components/messages/{it}"} for it in OF_ROOM[family]},
        }
    for name, (uri, sentence, _, _) in procedures().items():
        messages = {
            f"{name}_{part}": {"$ref": f"#/components/messages/{name}_{part}"} for part in ("call", "answer")
        }
        found[name] = {
            "address": uri,
            "description": f"{sentence} (WAMP: CALL, RESULT)",
            "messages": messages,
        }
    return found


def operations() -> dict[str, Any]:
    found: dict[str, Any] = {
        f"send_{name}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": sentence,
            "messages": [{"$ref": f"#/channels/{name}/messages/{it}"} for it in OF_ROOM[family]],
        }
        for family, (name, sentence) in ROOMS.items()
    }
    for name, (_, sentence, _, _) in procedures().items():
        channel = {"$ref": f"#/channels/{name}"}
        call, answer = (
            [{"$ref": f"#/channels/{name}/messages/{name}_{part}"}] for part in ("call", "answer")
        )
        found[name] = {
            "action": "receive",
            "channel": channel,
            "summary": sentence,
            "messages": call,
            "reply": {"channel": channel, "messages": answer},
        }
    return found


def messages() -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"title": title, "payload": {"$ref": f"#/components/schemas/{name}"}}
        for name, title in MESSAGES.items()
    }
    for name, (uri, _, call, answer) in procedures().items():
        found[f"{name}_call"] = {"title": f"A call of {uri}", "payload": call}
        found[f"{name}_answer"] = {"title": f"The answer of {uri}", "payload": answer}
    return found


def document() -> dict[str, Any]:
    ticket = {"type": "apiKey", "in": "password"}
    ticket["description"] = "Tuleap's token (GET /api/v1/jwt), in WAMP's AUTHENTICATE."
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tuleaprt: the topics and procedures",
            "version": "0.1.0",
            "description": "WAMP for pages and programs, in the realm tuleap (docs/wamp.rst).",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "public": {
                "host": "localhost:2998",
                "pathname": "/ws",
                "protocol": "ws",
                "description": "Subprotocols wamp.2.json, wamp.2.msgpack and wamp.2.cbor.",
                "security": [{"$ref": "#/components/securitySchemes/ticket"}],
            }
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages(),
            "schemas": schemas(),
            "securitySchemes": {"ticket": ticket},
        },
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1, ensure_ascii=False))
