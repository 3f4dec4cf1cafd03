"""What the Containerfile runs, without a runtime: a read-only root, process 1, a user without rights.

Images cannot be fetched everywhere. The steps of the build are those of the packages, so the root is that of
debootstrap with the Debian package.
"""

import json
import re
from pathlib import Path

import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.processes import Process
from tests.fakes import KEY
from tests.packages.conftest import ROOT, Machine, only

ensure = pytest_twisted.ensureDeferred
TEXT = (ROOT / "Containerfile").read_text()

CONTAINER = """\
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t proc proc "$0/proc"
ip link set lo up
exec chroot "$0" setpriv --reuid=900 --regid=900 --clear-groups --no-new-privs --bounding-set=-all -- "$@"
"""


def command(instruction: str) -> list[str]:
    """Of an instruction with a JSON list. That of the health check is in an indented line."""
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", TEXT, re.MULTILINE)
    whole: list[str] = json.loads(found)
    return whole


@ensure
async def test_the_server_is_process_1_in_a_root_that_it_cannot_write(machine: Machine) -> None:
    machine.run("useradd", "--system", "--user-group", "--uid", "900", "tuleaprt")
    (machine / "tmp/tuleaprt.deb").write_bytes(only("tuleaprt_*.deb").read_bytes())
    machine.run("dpkg", "--install", "/tmp/tuleaprt.deb")
    namespaces = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"]
    container = Process.start(
        [*namespaces, "sh", "-ec", CONTAINER, str(machine.folder), *command("ENTRYPOINT"), *command("CMD")],
        {"PRIVATE_KEY": KEY.decode()},
    )
    await container.written("private site listens on 127.0.0.1:2999")
    await container.written("tuleaprt is ready")
    pid = await deferToThread(child_of, container.pid)
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.MULTILINE)
    assert re.search(r"^Uid:\s+900\s+900\s+900\s+900$", status, re.MULTILINE)
    # The health check of the container, in its namespaces.
    inside = ["nsenter", f"--target={pid}", "--net", "chroot", str(machine.folder)]
    check = Process.start([*inside, *command("    CMD")], {})
    assert await check.ended() == 0, check.lines
    assert [it for it in container.lines if "Read-only" in it or "Traceback" in it] == []
    ended = container.ended()
    Process.start(["kill", "-TERM", str(pid)], {})
    assert await ended == 0, container.lines
    assert await Process.start([*inside, *command("    CMD")], {}).ended() != 0


def child_of(pid: int) -> int:
    """The process that unshare has forked."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
