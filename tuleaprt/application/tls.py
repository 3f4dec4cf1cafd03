"""TLS: the certificate of ``[tls]``, and its renewal while the server runs.

The files are checked when a client connects. A new certificate is used for new connections. If the new
files are wrong, the certificate in use stays: it may be valid for some days more.
"""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory, IReactorTime
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger, LogLevel
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from tuleaprt.configuration.options import Tls
from tuleaprt.errors import ConfigError

LOOK_SECONDS = 1
"""The shortest time between two checks of the files. A file that changed less than this ago may be
incomplete.
"""

WARNED_AHEAD, WARNED_EVERY = timedelta(days=14), timedelta(days=1).total_seconds()
"""How long before its end an expiring certificate is logged, and how often (seconds)."""

_BLOCK = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----$.*?^-----END \1-----$", re.DOTALL | re.MULTILINE)
_DASHES = re.compile(rb"^-", re.MULTILINE)

State = tuple[tuple[int, int, int], ...]
"""Modification time in ns, size and inode of each file."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The content of the files, ready for connections."""

    context: SSL.Context
    name: str
    serial: int
    until: datetime


def over_tls(factory: IProtocolFactory, files: Tls, clock: IReactorTime) -> TLSMemoryBIOFactory:
    """The factory, wrapped in TLS.

    Raises:
        ConfigError: there is no certificate that can be used.
    """
    return TLSMemoryBIOFactory(CertificateFiles(files, clock), False, factory, clock)


def read(files: Tls, now: float) -> Certificate:
    """Read the files. ``now`` is in seconds since the epoch.

    Raises:
        ConfigError: one line with the option, the file and the reason.
    """
    if not files.certificate:
        raise ConfigError("[tls] certificate: [listen] public_tls needs one")
    pem = _pem("certificate", files.certificate)
    try:
        # Any: Twisted's annotations name a deprecated class of pyOpenSSL.
        chain: list[Any] = list(x509.load_pem_x509_certificates(pem))
        first = chain[0]
        # A broken part of the certificate raises when it is read.
        since, until = first.not_valid_before_utc, first.not_valid_after_utc
        name, serial, public_key = _name(first), first.serial_number, first.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong("certificate", files.certificate, "the file is not a certificate in PEM") from None
    key_option, key_file = ("key", files.key) if files.key else ("certificate", files.certificate)
    key = _key(key_option, key_file, pem if not files.key else _pem("key", files.key))
    if key.public_key() != public_key:
        raise _wrong(key_option, key_file, "the key does not belong to the first certificate")
    today = datetime.fromtimestamp(now, UTC)
    if not since <= today < until:
        raise _wrong(
            "certificate", files.certificate, f"it is good from {_date(since)} to {_date(until)}, not now"
        )
    try:
        context = CertificateOptions(
            privateKey=key,
            certificate=first,
            extraCertChain=chain[1:],
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
            enableSessionTickets=True,
        ).getContext()
    except (SSL.Error, TypeError) as error:
        raise _wrong("certificate", files.certificate, _reason(error)) from None
    return Certificate(context, name, serial, until)


@implementer(IOpenSSLServerConnectionCreator)
class CertificateFiles:
    """Starts each TLS connection with the certificate that was good last."""

    log = Logger()

    def __init__(self, files: Tls, clock: IReactorTime) -> None:
        self._files = files
        self._paths = [Path(it) for it in (files.certificate, files.key) if it]
        self._clock = clock
        self._looked_at = now = clock.seconds()
        # Taken before reading, so that a change during the reading is noticed.
        self._state = _state(self._paths)
        self._problem = ""
        self._take(read(files, now), now)
        if _others_may_read(self._paths[-1]):
            self.log.emit(LogLevel.warn, "others may read the TLS key in {path}", path=str(self._paths[-1]))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Called by Twisted for each connection."""
        now = self._clock.seconds()
        # The system's clock may have been set back.
        if abs(now - self._looked_at) >= LOOK_SECONDS:
            self._looked_at = now
            self._look(now)
        return SSL.Connection(self._in_use.context, None)

    def _look(self, now: float) -> None:
        state = _state(self._paths)
        if state is not None and state == self._state:
            self._problem = ""
        elif state is None or not 0 <= now - max(it[0] for it in state) / 1e9 < LOOK_SECONDS:
            # Files that were wrong are read again even if they look the same.
            try:
                self._take(read(self._files, now), now)
            except ConfigError as error:
                self._complain(error.problems[0])
            else:
                self._state, self._problem = state, ""
        self._warn(now)

    def _take(self, certificate: Certificate, now: float) -> None:
        self._in_use = certificate
        self._warn_from = now
        self.log.info(
            "the TLS certificate is now that of {name}, good until {until}, serial {serial}",
            name=certificate.name,
            until=_date(certificate.until),
            serial=f"{certificate.serial:X}",
        )
        self._warn(now)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self.log.emit(LogLevel.warn, "{problem}; the certificate in use stays", problem=problem)

    def _warn(self, now: float) -> None:
        left = self._in_use.until - datetime.fromtimestamp(now, UTC)
        if left < WARNED_AHEAD and now >= self._warn_from:
            self._warn_from = now + WARNED_EVERY
            self.log.emit(
                LogLevel.warn,
                "the TLS certificate ends in {days} days, at {until}",
                days=left.days,
                until=_date(self._in_use.until),
            )


def _pem(option: str, name: str) -> bytes:
    """The file with Unix line ends, if each block in it is complete."""
    try:
        pem = Path(name).read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise _wrong(option, name, error.strerror or str(error)) from None
    # Some readers skip an incomplete block, and with it a part of the chain.
    if _DASHES.search(_BLOCK.sub(b"", pem)):
        raise _wrong(option, name, "the file is incomplete")
    return pem


def _key(option: str, name: str, pem: bytes) -> Any:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise _wrong(option, name, "the key has a password; it must have none") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong(option, name, "there is no private key in PEM") from None


def _name(certificate: x509.Certificate) -> str:
    """The subject, or the names of a certificate without one."""
    if text := certificate.subject.rfc4514_string():
        return text
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no name"
    return ", ".join(names.get_values_for_type(x509.DNSName))


def _state(paths: Iterable[Path]) -> State | None:
    """None: one of the files cannot be read."""
    try:
        found = [path.stat() for path in paths]
    except OSError:
        return None
    return tuple((it.st_mtime_ns, it.st_size, it.st_ino) for it in found)


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _date(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _reason(error: Exception) -> str:
    """The text of OpenSSL."""
    return ", ".join(it[-1] for it in error.args[0]) if isinstance(error, SSL.Error) else str(error)


def _wrong(option: str, name: str, reason: str) -> ConfigError:
    return ConfigError(f"[tls] {option}: {name}: {reason}")
