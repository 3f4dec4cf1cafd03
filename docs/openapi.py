"""Prints docs/openapi.json, the description of the private site for machines (OpenAPI 3.1)::

python docs/openapi.py > docs/openapi.json
"""

import json
from typing import Any

import msgspec

from tuleaprt.tuleap.commands import SERVER_COMMANDS
from tuleaprt.tuleap.podium import Result
from tuleaprt.tuleap.rights import Rights

ID = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
ERRORS = {
    400: "The request, or its body, cannot be read.",
    401: "The secret of posts, or an operator's token, is missing or wrong.",
    403: "A browser, another host name, or a user's token.",
    404: "There is no such resource.",
    405: "Another method is allowed here.",
    411: "The length of the body was not announced.",
    412: "A condition cannot be met.",
    413: "The body is longer than [limits] max_post_size.",
    415: "The body is not application/json in UTF-8.",
    417: "Expect: only 100-continue is understood.",
    422: "The body is read, and its content is refused. `path` is its place.",
    500: "A fault of the server. It has been logged.",
    503: "The journal has not taken it, or it is not known whether it has.",
}
OF_POSTS = (400, 401, 403, 405, 411, 412, 413, 415, 417, 422, 500, 503)
OF_READING = (400, 403, 405, 412, 417, 500)


def rights() -> dict[str, Any]:
    """The schema of the type by which the server reads rights."""
    found: dict[str, Any] = msgspec.json.schema(Rights)["$defs"]["Rights"]
    for field in found["properties"].values():
        # A set takes a value twice.
        field.pop("uniqueItems", None)
    return found | {
        "description": "The user groups, and the submitter, that may see what the message is about."
    }


def message() -> dict[str, Any]:
    """The body of a post (tuleap/message.py). The command begins with the kind of the room."""
    properties: dict[str, Any] = {
        "sender_user_id": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        "sender_uuid": {"type": ["string", "null"], "description": "the window; null or empty: none"},
        "room_id": {},
        "rights": {"$ref": "#/components/schemas/Rights"},
        "cmd": {"type": "string", "not": {"enum": sorted(SERVER_COMMANDS)}},
        "data": {"description": "any JSON, passed on unchanged; no text begins with U+0000"},
    }
    kinds = (
        ("a kanban", {"anyOf": [ID, {"type": "string", "pattern": "^[1-9][0-9]{0,14}$"}]}, "^kanban"),
        (
            "a test campaign",
            {"type": "string", "pattern": "^testmanagement_[1-9][0-9]{0,14}$"},
            "^testmanagement",
        ),
    )
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "oneOf": [
            {
                "title": f"of {kind}",
                "properties": {"room_id": room, "cmd": {"type": "string", "pattern": pattern}},
            }
            for kind, room, pattern in kinds
        ],
    }


def seed() -> dict[str, Any]:
    """The body of a seed (tuleap/inputs.py)."""
    statuses: dict[str, Any] = msgspec.json.schema(Result)["$defs"]["Result"]["properties"]["status"]
    properties: dict[str, Any] = {
        "execution_id": {"anyOf": [ID, {"type": "string", "pattern": "^[1-9][0-9]*$"}]},
        "status": statuses,
        "user": {
            "type": ["object", "null"],
            "required": ["id"],
            "properties": {"id": {"type": ["integer", "null"], "minimum": 0}},
        },
        "automated": {"type": "boolean", "default": False},
        "rights": {"anyOf": [{"$ref": "#/components/schemas/Rights"}, {"type": "null"}]},
    }
    entry = {
        "type": "object",
        "required": ["execution_id", "status", "user"],
        "properties": properties,
        "additionalProperties": False,
    }
    return {"type": "array", "items": entry}


def schemas() -> dict[str, Any]:
    error = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "path": {"type": "string"}},
        "additionalProperties": False,
    }
    return {
        "Rights": rights(),
        "Message": message(),
        "Seed": seed(),
        "Published": _object(publication=ID),
        "Revoked": _object(user_id=ID),
        "Health": _object(status={"enum": ["live", "ready"]}),
        "NotReady": _object(
            status={"const": "not ready"},
            problems={"type": "array", "items": {"type": "string"}, "minItems": 1},
        ),
        "Error": _object(error=error),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def operation(
    name: str, summary: str, answer: str, statuses: tuple[int, ...], *, body: str = "", secured: str = ""
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "Done.", "content": _json(answer)},
            **{str(it): {"description": ERRORS[it], "content": _json("Error")} for it in sorted(statuses)},
        },
    }
    if body:
        found["requestBody"] = {"required": True, "content": _json(body)}
    if secured:
        found["security"] = [{secured: []}] if secured == "operator" else [{}, {secured: []}]
    return found


def paths() -> dict[str, Any]:
    id = [{"name": "id", "in": "path", "required": True, "schema": ID}]
    ready = operation("ready", "Whether the server takes posts and pages.", "Health", OF_READING)
    ready["responses"]["503"] = {"description": "Why it does not.", "content": _json("NotReady")}
    metrics = operation("metrics", "The metrics, for Prometheus.", "Health", OF_READING)
    text: dict[str, Any] = {"schema": {"type": "string"}}
    metrics["responses"]["200"]["content"] = {"text/plain": text, "application/openmetrics-text": text}
    return {
        "/message": {
            "post": operation(
                "post",
                "A change of a board, as Tuleap posts it.",
                "Published",
                OF_POSTS,
                body="Message",
                secured="secret",
            )
        },
        "/campaigns/{id}/executions": {
            "parameters": id,
            "put": operation(
                "seed", "The results of a campaign.", "Published", OF_POSTS, body="Seed", secured="operator"
            ),
        },
        "/sessions/{id}": {
            "parameters": id,
            "delete": operation(
                "revoke",
                "End the sessions of a user, and refuse the user's tokens.",
                "Revoked",
                (400, 401, 403, 405, 412, 415, 417, 500, 503),
                secured="operator",
            ),
        },
        "/health/live": {"get": operation("live", "Whether the server answers.", "Health", OF_READING)},
        "/health/ready": {"get": ready},
        "/metrics": {"get": metrics},
    }


def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tuleaprt: the private site",
            "version": "0.1.0",
            "description": "For Tuleap and administrators, on the loopback address. Browsers are refused.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "http://localhost:2999"}],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "secret": {"type": "http", "scheme": "bearer", "description": "[realtime] post_secret"},
                "operator": {"type": "http", "scheme": "bearer", "description": "a token of an operator"},
            },
        },
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1, ensure_ascii=False))
