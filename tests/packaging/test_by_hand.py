"""docs/deploy.rst, "Install by hand": the commands are typed as they stand, with /etc and /opt in a folder.

systemctl and useradd only write down how they were called, because there is one system. nginx and pip are
real.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks
from tests.fakes import FIXTURES
from tests.packaging.test_packaging import built  # noqa: F401

ROOT = Path(__file__).parent.parent.parent
NOTED = ("systemctl", "useradd")
FOLDERS = ("/opt/", "/etc/")
NGINX = """\
pid {here}/nginx.pid;
error_log stderr;
events {{}}
http {{
    include {here}/etc/nginx/conf.d/*.conf;
    server {{ listen unix:{here}/nginx.sock; include {here}/etc/nginx/conf.d/tuleap.d/*.conf; }}
}}
"""


def steps() -> list[str]:
    """The commands of the section, each step in one text."""
    whole = [block for block in blocks(DOCS / "deploy.rst") if block.commands]
    first = next(at for at, it in enumerate(whole) if it.commands[0].startswith("tar xf"))
    last = next(at for at, it in enumerate(whole) if "takeover" in it.commands[0])
    return ["\n".join(it.commands) for it in whole[first:last]]


@pytest.fixture
def system(built: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A folder with the sdist, and commands on a PATH of its own."""
    (sdist,) = built.glob("tuleaprt-*.tar.gz")
    (tmp_path / sdist.name).symlink_to(sdist)
    for folder in ("bin", "opt", "etc/systemd/system", "etc/nginx/conf.d/tuleap.d"):
        (tmp_path / folder).mkdir(parents=True)
    for name in NOTED:
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/noted\n')
        program.chmod(0o755)
    (tmp_path / "nginx.conf").write_text(NGINX.format(here=tmp_path))
    nginx = tmp_path / "bin" / "nginx"
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    nginx.write_text(f'#!/bin/sh\nexec {found} -p {tmp_path} -c {tmp_path}/nginx.conf "$@"\n')
    nginx.chmod(0o755)
    return tmp_path


def test_the_server_is_installed_by_these_commands(system: Path) -> None:
    text = "\n".join(steps())
    for folder in FOLDERS:
        text = re.sub(rf"(?<![\w.]){folder}", f"{system}{folder}", text)
    # The key of another machine is not there.
    text = text.replace("tuleaprt init", f"tuleaprt init {system}/etc/tuleaprt/tuleaprt.toml")
    done = subprocess.run(
        ["sh", "-euxc", text],
        cwd=system,
        env={**os.environ, "PATH": f"{system}/bin:{os.environ['PATH']}", "PIP_CONSTRAINT": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^ *tuleaprt +Real-time server", done.stdout, re.MULTILINE)
    assert "syntax is ok" in done.stderr
    noted = (system / "noted").read_text().splitlines()
    assert noted == [
        "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin tuleaprt",
        "systemctl daemon-reload",
        "systemctl reload nginx",
    ]
    units = {it.name for it in (system / "etc/systemd/system").iterdir()}
    assert units == {it.name for it in (ROOT / "etc/systemd").glob("tuleaprt*")}
    config = system / "etc/tuleaprt/tuleaprt.toml"
    assert config.read_text().startswith("#:schema")
    key = str(FIXTURES / "tuleap-realtime-key")
    check = subprocess.run(
        [system / "opt/tuleaprt/bin/tuleaprt", "check-config", config],
        env={"TULEAPRT_REALTIME__KEY_FILE": key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
