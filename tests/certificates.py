"""Certificates made on the spot by the ``openssl`` command: a root, an intermediate below it, and leaves."""

import subprocess
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

HOST = "localhost"
HERE = "DNS:localhost,IP:127.0.0.1"
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign"
CA_CONFIG = """
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
"""
P256 = "ec -pkeyopt ec_paramgen_curve:P-256"


class Pem(NamedTuple):
    """What a server gets: the leaf and the intermediate, the leaf's key, and the serial of the leaf."""

    chain: bytes
    key: bytes
    serial: int


class Authority:
    """A root certificate, in the file ``root``, and an intermediate that signs certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serials = count(0x1001)
        self.root = folder / "root.pem"
        _run(
            folder,
            f"req -x509 -newkey {P256} -nodes -keyout root.key -out root.pem -days 9 -subj /CN=root "
            "-addext keyUsage=critical,keyCertSign",
        )
        self._sign("middle", "root", CA, 9)

    def leaf(
        self, names: str = HERE, *, days: int = 9, subject: str = "/CN=tuleaprt", key: str = P256
    ) -> Pem:
        """A certificate for these names, good for so many days; with fewer than none it has expired."""
        serial = self._sign("leaf", "middle", f"subjectAltName={names}", days, subject, key)
        return self._pem(serial)

    def brief_leaf(self, seconds: int) -> Pem:
        """One that is good for so many seconds, which only ``openssl ca`` can make."""
        serial = self._sign("leaf", "middle", f"subjectAltName={HERE}", 1, "/CN=tuleaprt")
        (self._folder / "ca.conf").write_text(CA_CONFIG)
        (self._folder / "index").write_text("")
        (self._folder / "serial").write_text(f"{serial:X}")
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        _run(
            self._folder,
            "ca -batch -notext -config ca.conf -cert middle.pem -keyfile middle.key -in leaf.csr "
            f"-out leaf.pem -extfile leaf.ext -enddate {ends:%Y%m%d%H%M%SZ}",
        )
        return self._pem(serial)

    def _pem(self, serial: int) -> Pem:
        parts = [(self._folder / f"{name}.pem").read_bytes() for name in ("leaf", "middle")]
        return Pem(b"".join(parts), (self._folder / "leaf.key").read_bytes(), serial)

    def _sign(
        self, name: str, by: str, extensions: str, days: int, subject: str = "", key: str = P256
    ) -> int:
        serial = next(self._serials)
        (self._folder / f"{name}.ext").write_text(extensions)
        subject = subject or f"/CN={name}"
        _run(
            self._folder,
            f"req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj {subject}",
        )
        _run(
            self._folder,
            f"x509 -req -in {name}.csr -out {name}.pem -CA {by}.pem -CAkey {by}.key -days {days} "
            f"-set_serial {serial} -extfile {name}.ext",
        )
        return serial


def _run(folder: Path, arguments: str) -> None:
    done = subprocess.run(
        ["openssl", *arguments.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
