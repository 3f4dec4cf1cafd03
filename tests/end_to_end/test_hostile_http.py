"""What is no HTTP, at every port: an answer or a drop, few short log lines, no traceback, no fault."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.certificates import Authority
from tests.end_to_end.server import ANY_PORT, Server
from tests.end_to_end.test_hostile_browsers import UPGRADE
from tests.heads import DIGITS, hostile_requests

ensure = pytest_twisted.ensureDeferred

BEFORE_ANY_HEAD = [
    b"",
    b"\0",
    b"\r\n\r\n",
    b"\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\0" * 64 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\r\n",
    b"<policy-file-request/>\0",
    b"\x7f",
    b"\x7f\xf1\x01\x02",
    b"\x7f\xf0\0\0",
    b"\x7f\xf1\0\0" + b"\x03\xff\xff\xff",
    b"\x7f\xf1\0\0" + b"\0\xff\xff\xff" + b"[" * 5000,
    b"\x7f\xf1\0\0" + b"\0\0\x13\x8c[1," + DIGITS + b"]",
]
"""By what may be taken for RawSocket, TLS, HTTP/2 or the PROXY protocol."""

UPGRADE_LINES = [
    b"Sec-WebSocket-Version: " + DIGITS,
    b"Sec-WebSocket-Key: " + b"x" * 9000,
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=" + DIGITS,
    b'Sec-WebSocket-Extensions: ;=;,"";permessage-deflate;;=',
    b"Sec-WebSocket-Protocol: ,,;\xff",
    b"Origin: http://[",
    b"Origin: http://a:" + DIGITS,
    b"Content-Length: " + DIGITS,
    b"Host: b",
]
FRAMES_AFTER_THE_HEAD = [
    b"\xff" * 50,
    b"\x81\xff" + b"\xff" * 8 + bytes(4),
    b"\x88\x81\0\0\0\0x",
    b"\x88\x82\0\0\0\0\0\0",
    b"\xc1\x80\0\0\0\0",
    b"\x81\x84\0\0\0\0\xed\xa0\x80x",
]


@pytest_twisted.async_yield_fixture(scope="module")
async def everywhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, int]]:
    """A server with an endpoint of each kind, and the port of the one that speaks TLS."""
    folder = tmp_path_factory.mktemp("everywhere")
    pem = Authority(folder).leaf()
    for name, data in (("chain", pem.chain), ("key", pem.key)):
        (folder / f"{name}.pem").touch(mode=0o600)
        (folder / f"{name}.pem").write_bytes(data)
    server = await Server.start(
        TULEAPRT_LISTEN__RAWSOCKET=ANY_PORT,
        TULEAPRT_LISTEN__DEBUG=ANY_PORT,
        TULEAPRT_LISTEN__PUBLIC_TLS=ANY_PORT,
        TULEAPRT_TLS__CERTIFICATE=str(folder / "chain.pem"),
        TULEAPRT_TLS__KEY=str(folder / "key.pem"),
    )
    listens = await server.process.written(r"public TLS site listens on 127\.0\.0\.1:(\d+)$")
    yield server, int(listens[1])
    await server.process.stop("KILL")


def send_each(port: int, requests: Iterable[bytes], tls: ssl.SSLContext | None = None) -> list[bytes]:
    """The answers, each over a connection of its own that ends with the request."""
    answers = []
    for data in requests:
        answer = b""
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        with plain if tls is None else tls.wrap_socket(plain) as connection, suppress(OSError):
            connection.sendall(data)
            if isinstance(connection, ssl.SSLSocket):
                # Ends what it reads from as well.
                connection.unwrap().close()
            else:
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65536):
                    answer += more
        answers.append(answer)
    return answers


@pytest.mark.parametrize("endpoint", ["private", "public", "tls", "debug", "rawsocket", "plain to tls"])
@ensure
async def test_hostile_bytes_are_no_fault(everywhere: tuple[Server, int], endpoint: str) -> None:
    server, tls_port = everywhere
    ports = {"tls": tls_port, "plain to tls": tls_port}
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    lines = len(server.process.lines)
    requests = [*BEFORE_ANY_HEAD]
    for path in (b"/ws", b"/message"):
        requests += hostile_requests(path).values()
    requests += [UPGRADE + line + b"\r\n\r\n" for line in UPGRADE_LINES]
    requests += [UPGRADE + b"\r\n" + frames for frames in FRAMES_AFTER_THE_HEAD]
    answers = await deferToThread(
        send_each,
        ports.get(endpoint) or getattr(server, endpoint),
        requests,
        client if endpoint == "tls" else None,
    )
    assert await server.metric("internal_errors_total") == 0
    assert server.tracebacks() == []
    assert max(map(len, answers)) < 100_000
    for answer in answers:
        assert b"xxxxxxxx" not in answer
        assert b"9" * 30 not in answer
    written = server.process.lines[lines:]
    assert [line for line in written if len(line) > 300] == []
    assert len(written) < len(requests)


@ensure
async def test_content_length_of_5000_digits(everywhere: tuple[Server, int]) -> None:
    server, _ = everywhere
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + DIGITS + b"\r\n\r\n"
    for port in (server.private, server.public):
        lines = len(server.process.lines)
        (answer,) = await deferToThread(send_each, port, [request])
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert await server.metric("internal_errors_total") == 0
        assert len(server.process.lines) - lines <= 1
        assert server.tracebacks() == []
