"""Frames, made once."""

import json

import pytest

from tests.fakes import KANBAN, identity, publication
from tuleaprt.transport.frames import FORMATS, JSON, event_frame
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.broker import Answer, Broker, Dispatch, Kwargs


class Listener:
    identity: Identity = identity()
    window: str | None = None


@pytest.fixture
def dispatch() -> Dispatch:
    broker = Broker()
    broker.subscriptions.add(KANBAN, Listener())
    (dispatch,) = broker.dispatch(publication())
    return dispatch


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
    assert json.loads(payload(JSON.frame([36, "x" * size]))) == [36, "x" * size]


def test_an_event_has_arguments_even_if_it_has_none(dispatch: Dispatch) -> None:
    kwargs: Kwargs = {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}
    event = json.loads(payload(event_frame(dispatch, Answer(kwargs), JSON)))
    assert event == [36, dispatch.subscription.id, 77, {}, [], kwargs]


def test_an_answer_is_encoded_once(dispatch: Dispatch) -> None:
    one, other = Answer({"cmd": "a", "data": 1}), Answer({"cmd": "a", "data": 2})
    assert event_frame(dispatch, one, JSON) is event_frame(dispatch, one, JSON)
    assert event_frame(dispatch, one, JSON) != event_frame(dispatch, other, JSON)


def test_texts_survive(dispatch: Dispatch) -> None:
    kwargs: Kwargs = {"cmd": "kanban:edit", "data": "tëst \U0001f600 </script> \u2028 \x7f"}
    assert json.loads(payload(event_frame(dispatch, Answer(kwargs), JSON)))[5] == kwargs


def test_json_is_spoken() -> None:
    assert list(FORMATS) == ["wamp.2.json"]
