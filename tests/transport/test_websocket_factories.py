"""The options of Autobahn, put right."""

from tests.transport.sockets import Browser, Program, Server


def test_what_autobahn_would_do_by_itself(server: Server) -> None:
    factory = server.websockets
    assert (factory.webStatus, factory.failByDrop, factory.versions) == (False, False, [13])
    assert factory.maxFramePayloadSize == factory.maxMessagePayloadSize == server.connections.max_message_size
    assert (factory.autoPingInterval, factory.autoPingTimeout) == (25, 20)


def test_what_comes_of_either_factory_is_of_one_connections(server: Server) -> None:
    peers = [Browser(server), Program(server)]
    for peer in peers:
        peer.join()
    assert server.sizes() == (2, 0, 2)
    for peer in peers:
        peer.lose()
    assert server.sizes() == (0, 0, 0)
