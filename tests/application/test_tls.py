"""The certificate of ``[tls]``: what is taken, what is refused, and how it is renewed."""

import os
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.certificates import HOST, Authority, Pem
from tests.conftest import Log
from tuleaprt.application.tls import CertificateFiles, over_tls
from tuleaprt.configuration.options import Tls
from tuleaprt.errors import ConfigError

DAY = 86_400


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def old(authority: Authority) -> Pem:
    return authority.leaf(days=30)


@pytest.fixture(scope="module")
def new(authority: Authority) -> Pem:
    return authority.leaf(days=60)


class Served:
    """The two files, the server's side of them, and clients that connect in memory."""

    def __init__(self, folder: Path, authority: Authority, pem: Pem) -> None:
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"
        self.files = Tls(certificate=str(self.chain), key=str(self.key))
        self.client = ssl.create_default_context(cafile=str(authority.root))
        self.clock = Clock()
        self.clock.advance(int(time.time()) + 10)
        self.write(pem)
        self.certificates = CertificateFiles(self.files, self.clock)

    def write(self, pem: Pem) -> None:
        self.chain.write_bytes(pem.chain)
        self.key.write_bytes(pem.key)
        self.key.chmod(0o600)

    def connect(self, client: ssl.SSLContext | None = None) -> "Joined":
        return Joined(self.certificates.serverConnectionForTLS(None), client or self.client)  # type: ignore[arg-type]

    def serial(self) -> int:
        """The serial number of the certificate that a client receives some seconds later."""
        self.clock.advance(2)
        return self.connect().serial()


class Joined:
    """Both ends of a connection after its handshake."""

    def __init__(self, server: SSL.Connection, client: ssl.SSLContext) -> None:
        self.server = server
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self._in, self._out, server_hostname=HOST)
        server.set_accept_state()
        is_done = False
        while not is_done:
            with suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
                is_done = True
            self._carry()
            with suppress(SSL.WantReadError):
                server.do_handshake()
            self._carry()

    def serial(self) -> int:
        certificate = self.client.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)

    def says(self, data: bytes) -> bytes:
        """What the client reads of it."""
        self.server.send(data)
        self._carry()
        return self.client.read(len(data))

    def _carry(self) -> None:
        with suppress(SSL.WantReadError):
            self._in.write(self.server.bio_read(2**16))
        if data := self._out.read():
            self.server.bio_write(data)


@pytest.fixture
def served(tmp_path: Path, authority: Authority, old: Pem) -> Served:
    return Served(tmp_path, authority, old)


def warnings(log: Log) -> list[str]:
    return [line for line, it in zip(log.lines, log.events, strict=True) if it["log_level"].name == "warn"]


def test_new_connections_get_the_new_certificate_and_open_ones_go_on(
    served: Served, old: Pem, new: Pem, log: Log
) -> None:
    open_one = served.connect()
    assert open_one.serial() == old.serial
    served.write(new)
    assert served.serial() == new.serial
    assert open_one.says(b"event") == b"event"
    (line,) = log.lines
    assert line.startswith("the TLS certificate is now that of CN=tuleaprt, good until 20")
    assert line.endswith(f" UTC, serial {new.serial:X}")


def test_files_that_are_put_in_the_place_of_others_are_noticed(
    served: Served, new: Pem, tmp_path: Path
) -> None:
    # As certbot does: links to other files, and these may be older and just as long.
    for path, data in ((served.chain, new.chain), (served.key, new.key)):
        there = tmp_path / f"archive-{path.name}"
        there.write_bytes(data)
        os.utime(there, (1, 1))
        path.unlink()
        path.symlink_to(there)
    assert served.serial() == new.serial


def test_a_key_in_the_same_file_will_do(served: Served, new: Pem) -> None:
    served.chain.write_bytes(new.key + new.chain)
    served.certificates = CertificateFiles(Tls(certificate=str(served.chain)), served.clock)
    assert served.serial() == new.serial


def test_the_files_are_looked_at_once_a_second(served: Served, old: Pem, new: Pem) -> None:
    served.write(new)
    assert served.connect().serial() == old.serial
    assert served.serial() == new.serial


def test_files_that_have_just_changed_are_left_to_be_finished(served: Served, old: Pem, new: Pem) -> None:
    leaf_only = new.chain[: new.chain.index(b"-----END") + 26]
    served.write(new._replace(chain=leaf_only))
    now = served.clock.seconds() + 2
    os.utime(served.chain, (now - 0.5, now - 0.5))
    assert served.serial() == old.serial
    served.write(new)
    assert served.serial() == new.serial


def is_missing(served: Served, new: Pem) -> None:
    served.chain.unlink()


def has_no_key(served: Served, new: Pem) -> None:
    served.key.unlink()


def is_a_folder(served: Served, new: Pem) -> None:
    served.chain.unlink()
    served.chain.mkdir()


def is_empty(served: Served, new: Pem) -> None:
    served.chain.write_bytes(b"")


def is_half_written(served: Served, new: Pem) -> None:
    served.write(new._replace(chain=new.chain[:-40]))


def is_no_certificate(served: Served, new: Pem) -> None:
    served.chain.write_bytes(b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n")


def is_anothers(served: Served, new: Pem) -> None:
    served.chain.write_bytes(new.chain)


def has_a_broken_key(served: Served, new: Pem) -> None:
    served.write(new._replace(key=b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"))


def has_a_key_with_a_password(served: Served, new: Pem) -> None:
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret"]
    locked = subprocess.run(command, input=new.key, capture_output=True, check=True).stdout
    served.write(new._replace(key=locked))


def has_ended(served: Served, new: Pem) -> None:
    served.write(Authority(served.chain.parent).leaf(days=-1))


def is_too_weak(served: Served, new: Pem) -> None:
    served.write(Authority(served.chain.parent).leaf(key="rsa:1024"))


WRONG: list[tuple[Callable[[Served, Pem], None], str, str]] = [
    (is_missing, "certificate", "No such file or directory"),
    (has_no_key, "key", "No such file or directory"),
    (is_a_folder, "certificate", "Is a directory"),
    (is_empty, "certificate", "the file is not a certificate in PEM"),
    (is_half_written, "certificate", "the file is incomplete"),
    (is_no_certificate, "certificate", "the file is not a certificate in PEM"),
    (is_anothers, "key", "the key does not belong to the first certificate"),
    (has_a_broken_key, "key", "there is no private key in PEM"),
    (has_a_key_with_a_password, "key", "the key has a password; it must have none"),
    (has_ended, "certificate", "it is good from "),
    (is_too_weak, "certificate", "ee key too small"),
]


@pytest.mark.parametrize(("wrong", "option", "reason"), WRONG, ids=lambda it: getattr(it, "__name__", ""))
def test_what_is_wrong_changes_nothing_is_said_once_and_refused_at_the_start(
    served: Served,
    old: Pem,
    new: Pem,
    log: Log,
    wrong: Callable[[Served, Pem], None],
    option: str,
    reason: str,
) -> None:
    wrong(served, new)
    assert [served.serial() for _ in range(3)] == [old.serial] * 3
    (line,) = log.lines
    path = served.chain if option == "certificate" else served.key
    assert line.startswith(f"[tls] {option}: {path}: {reason}")
    assert line.endswith("; the certificate in use stays")
    with pytest.raises(ConfigError) as refused:
        CertificateFiles(served.files, served.clock)
    (problem,) = refused.value.problems
    assert problem.startswith(f"[tls] {option}: {path}: {reason}")
    if served.chain.is_dir():
        served.chain.rmdir()
    served.write(new)
    assert served.serial() == new.serial
    assert len(log.lines) == 2


def test_the_same_mistake_after_a_good_file_is_said_again(served: Served, old: Pem, log: Log) -> None:
    elsewhere = served.chain.with_suffix(".away")
    for _ in range(2):
        served.chain.rename(elsewhere)
        assert served.serial() == old.serial
        elsewhere.rename(served.chain)
        assert served.serial() == old.serial
    assert len(warnings(log)) == len(log.lines) == 2


def test_no_beginning_of_the_files_is_taken_for_the_whole(served: Served, old: Pem, new: Pem) -> None:
    whole = new.key + new.chain
    served.files = Tls(certificate=str(served.chain))
    leaf_ends = whole.index(b"-----END CERTIFICATE-----") + 25
    for end in range(len(whole) - 1):
        served.chain.write_bytes(whole[:end])
        if end not in (leaf_ends, leaf_ends + 1):  # where only time can tell
            with pytest.raises(ConfigError):
                CertificateFiles(served.files, served.clock)


def test_a_certificate_that_nobody_has_given_is_missed() -> None:
    with pytest.raises(ConfigError, match=r"^\[tls\] certificate: \[listen\] public_tls needs one$"):
        CertificateFiles(Tls(), Clock())


def test_a_key_that_others_may_read_is_said_and_no_key_ever_is(served: Served, log: Log) -> None:
    served.key.chmod(0o644)
    CertificateFiles(served.files, served.clock)
    assert warnings(log) == [f"others may read the TLS key in {served.key}"]
    secret = served.key.read_text().splitlines()[1]
    assert secret not in repr([log.events, served.certificates.__dict__])


def test_a_certificate_that_ends_soon_is_said_once_a_day(served: Served, log: Log) -> None:
    served.clock.advance(15 * DAY)
    served.serial()
    assert log.lines == []
    served.clock.advance(2 * DAY)
    served.serial()
    served.serial()
    served.clock.advance(DAY)
    served.serial()
    assert [line[:39] for line in warnings(log)] == [
        "the TLS certificate ends in 12 days, at",
        "the TLS certificate ends in 11 days, at",
    ]


def test_a_certificate_without_a_subject_is_called_by_its_names(
    served: Served, authority: Authority, log: Log
) -> None:
    served.write(authority.leaf("DNS:a.example.org", subject="/", days=30))
    CertificateFiles(served.files, served.clock)
    assert "now that of a.example.org, good" in log.lines[0]


@pytest.mark.parametrize(
    ("version", "is_spoken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_only_tls_1_2_and_newer_are_spoken(served: Served, version: ssl.TLSVersion, is_spoken: bool) -> None:
    served.client.minimum_version = served.client.maximum_version = version
    served.client.set_ciphers("DEFAULT@SECLEVEL=0")
    if is_spoken:
        assert served.connect().client.version() == version.name.replace("_", ".")
    else:
        with pytest.raises(SSL.Error, match="unsupported protocol"):
            served.connect()


def test_what_is_served_over_tls_is_told_of_the_connection_before_the_handshake(served: Served) -> None:
    # A slow handshake runs on this clock.
    made: list[Protocol] = []

    class Told(Protocol):
        def connectionMade(self) -> None:
            made.append(self)

    wrapper = over_tls(Factory.forProtocol(Told), served.files, served.clock).buildProtocol(None)  # type: ignore[arg-type]
    assert wrapper is not None
    wrapper.makeConnection(StringTransport())  # type: ignore[arg-type]
    assert len(made) == 1
