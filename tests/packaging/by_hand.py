"""Installs the server by the commands of docs/deploy.rst, "Install by hand", with /etc and /opt in a folder.

systemctl and useradd only write down how they were called, because there is one system. nginx and pip are
real.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.docs.pages import DOCS, blocks

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


def steps() -> str:
    """The commands of the section, one in each line."""
    whole = [block.commands for block in blocks(DOCS / "deploy.rst") if block.commands]
    first = next(at for at, commands in enumerate(whole) if commands[0].startswith("tar xf"))
    last = next(at for at, commands in enumerate(whole) if "takeover" in commands[0])
    return "\n".join(command for commands in whole[first:last] for command in commands)


def install(folder: Path, sdist: Path) -> subprocess.CompletedProcess[str]:
    """``noted`` in the folder has the calls of ``NOTED``."""
    (folder / sdist.name).symlink_to(sdist)
    for name in ("bin", "opt", "etc/systemd/system", "etc/nginx/conf.d/tuleap.d"):
        (folder / name).mkdir(parents=True)
    for name in NOTED:
        _program(folder / "bin" / name, f'echo {name} "$@" >> {folder}/noted')
    (folder / "nginx.conf").write_text(NGINX.format(here=folder))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    _program(folder / "bin" / "nginx", f'exec {nginx} -p {folder} -c {folder}/nginx.conf "$@"')
    # The default is a file of this system.
    text = steps().replace("tuleaprt init", "tuleaprt init /etc/tuleaprt/tuleaprt.toml")
    return type_in(folder, text)


def type_in(folder: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of the commands, up to the first that fails."""
    for name in FOLDERS:
        commands = re.sub(rf"(?<![\w.]){name}", f"{folder}{name}", commands)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        ["sh", "-euxc", commands],
        cwd=folder,
        env={**environment, "PATH": f"{folder}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def _program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
