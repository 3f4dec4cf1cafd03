"""Frames, made once."""

import json

import pytest

from tests.fakes import KANBAN, Member, publication
from tuleaprt.transport.serializers import RAWSOCKET_FORMATS, WEBSOCKET_FORMATS, event_frame
from tuleaprt.wamp.broker import Answer, Broker, Dispatch
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Kwargs

JSON = WEBSOCKET_FORMATS["wamp.2.json"]
RAW = RAWSOCKET_FORMATS[1]


def dispatch(topic: str = KANBAN, match: Match = Match.EXACT) -> Dispatch:
    broker = Broker()
    broker.subscriptions.add(topic, match, Member(), 0)
    (found,) = broker.dispatch(publication())
    return found


def payload(frame: bytes) -> bytes:
    """The payload of one unmasked, final text frame (RFC 6455, 5.2)."""
    assert frame[0] == 0x81
    length, start = frame[1], 2
    if length == 126:
        length, start = int.from_bytes(frame[2:4]), 4
    elif length == 127:
        length, start = int.from_bytes(frame[2:10]), 10
    assert len(frame) == start + length
    return frame[start:]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_holds_its_message_whatever_its_size(size: int) -> None:
    message = [36, "x" * size]
    assert json.loads(payload(JSON.frame(message))) == message
    raw = RAW.frame(message)
    assert (raw[0], int.from_bytes(raw[1:4]), json.loads(raw[4:])) == (0, len(raw) - 4, message)


def test_an_event_has_arguments_even_if_it_has_none() -> None:
    kwargs: Kwargs = {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}
    event = json.loads(payload(event_frame(dispatch(), Answer(kwargs), JSON)))
    assert event == [36, 1, 77, {}, [], kwargs]


@pytest.mark.parametrize(("topic", "match"), [("org.", Match.PREFIX), ("org..kanban.", Match.WILDCARD)])
def test_an_event_of_a_pattern_names_its_topic(topic: str, match: Match) -> None:
    event = json.loads(payload(event_frame(dispatch(topic, match), Answer({}), JSON)))
    assert event[3] == {"topic": KANBAN}


def test_an_answer_is_encoded_once_for_each_format() -> None:
    under_way = dispatch()
    one, other = Answer({"cmd": "a", "data": 1}), Answer({"cmd": "a", "data": 2})
    assert event_frame(under_way, one, JSON) is event_frame(under_way, one, JSON)
    assert event_frame(under_way, one, JSON) != event_frame(under_way, other, JSON)
    assert event_frame(under_way, one, RAW) is event_frame(under_way, one, RAW)


def test_texts_survive() -> None:
    kwargs: Kwargs = {"cmd": "kanban:edit", "data": "tëst \U0001f600 </script> \u2028 \x7f"}
    assert json.loads(payload(event_frame(dispatch(), Answer(kwargs), JSON)))[5] == kwargs


def test_what_is_spoken() -> None:
    assert list(WEBSOCKET_FORMATS) == ["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"]
    assert {id: it.serializer.name for id, it in RAWSOCKET_FORMATS.items()} == {
        1: "json",
        2: "msgpack",
        3: "cbor",
    }
