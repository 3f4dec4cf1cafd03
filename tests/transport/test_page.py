"""The wire formats of pages in the fan-out."""

from tests.fakes import KANBAN, publication
from tests.transport.sockets import Browser, PageSocket, Poller, Server
from tuleaprt.transport.page import FRAMES, PACKETS, new_sid
from tuleaprt.transport.serializers import event_frame
from tuleaprt.wamp.broker import Answer, Dispatch, Subscription
from tuleaprt.wamp.identifiers import Match


def test_an_event_is_encoded_once_for_each_namespace_and_transport() -> None:
    dispatch = Dispatch(publication(), Subscription(1, KANBAN, Match.EXACT, 0))
    answer = Answer({"cmd": "kanban:delete", "data": ""})
    formats = [*FRAMES.values(), *PACKETS.values()]
    frames = [event_frame(dispatch, answer, it) for it in formats]
    assert len(answer.frames) == 4
    assert [event_frame(dispatch, answer, it) for it in formats] == frames
    assert PACKETS["/"].event(dispatch, answer) == b'42["kanban:delete",""]'
    assert frames[0] == b"\x81\x16" + b'42["kanban:delete",""]'


def test_ids_are_random() -> None:
    assert len({new_sid() for _ in range(100)}) == 100
    assert len(new_sid()) == 20


def test_both_transports_and_wamp_are_served_by_one_fan_out(server: Server) -> None:
    socket, poller, browser = PageSocket(server), Poller(server), Browser(server)
    socket.take()
    socket.subscribe(uuid="a")
    poller.subscribe(uuid="b")
    browser.join()
    browser.say([32, 1, {}, KANBAN])
    server.publish(publication())
    server.pass_time(1)
    assert socket.take() == poller.take() == ['42["kanban:delete",""]']
    assert browser.take()[0][5] == {"cmd": "kanban:delete", "data": ""}
    assert server.metrics.deliveries == 3
    for client in (socket, poller, browser):
        client.lose()
