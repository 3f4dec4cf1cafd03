"""The wheel and the sdist: what is in them, and that the server runs where only the wheel is."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_twisted

from tests.docs.pages import DOCS, commands
from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import Process
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES, KANBAN, ticket, wire
from tests.packaging.by_hand import install, type_in

ensure = pytest_twisted.ensureDeferred
ROOT = Path(__file__).parent.parent.parent
LEFTOVERS = (".*", "node_modules", "*.egg-info", "*.so", "build", "dist", "__pycache__", "dropin.cache")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    tree, out = tmp_path_factory.mktemp("checkout") / "tuleaprt", tmp_path_factory.mktemp("dist")
    # What lies about in a checkout must not get in, nor be changed.
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFTOVERS))
    run(sys.executable, "-m", "build", "--outdir", out, cwd=tree)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("tuleaprt-*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (found,) = built.glob("tuleaprt-*.tar.gz")
    return found


class Installed(NamedTuple):
    """What the commands of the documentation have made, and what they wrote."""

    folder: Path
    output: str


@pytest.fixture(scope="module")
def by_hand(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("system")
    done = install(folder, sdist)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Installed(folder, done.stdout + done.stderr)
    shutil.rmtree(folder)


@pytest.fixture
def installed(by_hand: Installed) -> Path:
    """A fresh environment with the server and what it needs, and nothing of the checkout."""
    return by_hand.folder / "opt" / "tuleaprt"


def test_the_wheel_holds_the_server_and_its_plugin_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    modules = [str(it.relative_to(ROOT)) for it in (ROOT / "tuleaprt").rglob("*.py")]
    assert {*modules, "tuleaprt/py.typed", "twisted/plugins/tuleaprt_plugin.py"} <= set(names)
    assert {it.split("/")[0].split("-")[0] for it in names} == {"tuleaprt", "twisted"}
    assert [it for it in names if it.endswith((".c", ".so"))] == ["tuleaprt/transport/_sending.abi3.so"]
    # These folders are Twisted's.
    assert [it for it in names if it.startswith("twisted/")] == ["twisted/plugins/tuleaprt_plugin.py"]


def test_one_wheel_is_for_all_versions_of_python(wheel: Path) -> None:
    assert "-cp311-abi3-linux_" in wheel.name
    compiled = zipfile.ZipFile(wheel).read("tuleaprt/transport/_sending.abi3.so")
    assert sys.base_prefix.encode() not in compiled


@pytest.mark.parametrize(
    "environment", [{"CC": "false"}, {"TULEAPRT_COMPILED": "0"}], ids=["no compiler", "switch"]
)
def test_without_the_extension_the_build_goes_on(
    sdist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with tarfile.open(sdist) as opened:
        opened.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    run(sys.executable, "setup.py", "--quiet", "build", cwd=tree)
    (library,) = (tree / "build").glob("lib*")
    assert (library / "tuleaprt/transport/sending.py").is_file()
    assert list(library.rglob("*.so")) == []


def test_a_package_is_not_made_without_the_extension_unnoticed(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "package" / "tree", tmp_path / "tree", "python3.11"],
        env={**os.environ, "CC": "false", "PIP": str(Path(sys.executable).with_name("pip"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the extension in C could not be built" in done.stderr
    assert not (tmp_path / "tree").exists()


def test_the_commands_of_the_documentation_install_the_server(by_hand: Installed) -> None:
    assert re.search(r"^ *tuleaprt +Real-time server", by_hand.output, re.MULTILINE)
    assert "syntax is ok" in by_hand.output
    assert (by_hand.folder / "noted").read_text().splitlines() == [
        "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin tuleaprt",
        "systemctl daemon-reload",
        "systemctl reload nginx",
    ]
    units = {it.name for it in (by_hand.folder / "etc/systemd/system").iterdir()}
    assert units == {it.name for it in (ROOT / "etc/systemd").glob("tuleaprt*")}


def test_the_file_that_init_has_written_is_good(
    by_hand: Installed, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = by_hand.folder / "etc/tuleaprt/tuleaprt.toml"
    assert config.read_text().startswith("#:schema")
    monkeypatch.setenv("TULEAPRT_REALTIME__KEY_FILE", str(FIXTURES / "tuleap-realtime-key"))
    assert "events_per_topic" in run(installed / "bin/tuleaprt", "check-config", config, cwd=by_hand.folder)


def test_the_commands_find_the_files_of_nginx_and_remove_them(by_hand: Installed) -> None:
    (look,) = (it for it in commands(DOCS / "troubleshooting.rst") if it.startswith("nginx -T"))
    assert "tuleaprt-clients.conf" in type_in(by_hand.folder, look).stdout
    (remove,) = (it for it in commands(DOCS / "deploy.rst") if it.startswith("rm -f"))
    assert type_in(by_hand.folder, f"{remove} && nginx -t").returncode == 0
    assert list((by_hand.folder / "etc/nginx").rglob("*.conf")) == []


def test_the_sdist_holds_what_an_administrator_needs_besides(sdist: Path) -> None:
    with tarfile.open(sdist) as opened:
        names = {it.name.partition("/")[2] for it in opened.getmembers() if it.isfile()}
    wanted = [
        it for folder in ("docs", "etc", "package") for it in (ROOT / folder).rglob("*") if it.is_file()
    ]
    assert {str(it.relative_to(ROOT)) for it in wanted if it.suffix != ".pyc"} <= names
    assert {
        "LICENSE",
        "README.rst",
        "NEWS.rst",
        "CONTRIBUTING.rst",
        "constraints.txt",
        "Containerfile",
    } <= names
    assert not [it for it in names if it.startswith(("tests/", "demo/", "benchmarks/", "node_modules/", "."))]


def test_an_index_accepts_both_and_shows_the_description(built: Path) -> None:
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), cwd=built)


def test_the_metadata_lead_somewhere_from_an_index(wheel: Path) -> None:
    opened = zipfile.ZipFile(wheel)
    (name,) = [it for it in opened.namelist() if it.endswith(".dist-info/METADATA")]
    metadata = message_from_bytes(opened.read(name))
    urls = metadata.get_all("Project-URL")
    assert urls is not None and all(it.split(", ")[1].startswith("https://") for it in urls)
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/x-rst"
    description = str(metadata.get_payload())
    assert [it for it in re.findall(r"<([^<>]+)>`_", description) if not it.startswith("https://")] == []
    assert ".. image::" not in description


def test_twistd_knows_the_installed_plugin(installed: Path) -> None:
    page = run("bin/twistd", "--help", cwd=installed)
    # In columns: the description goes on in the next line.
    assert "tuleaprt Real-time server for Tuleap: HTTP posts in, WAMP events out." in " ".join(page.split())
    assert "--config" in run("bin/twistd", "tuleaprt", "--help", cwd=installed)


def test_types_are_found_by_who_imports_it(installed: Path) -> None:
    where = "import tuleaprt, pathlib; print(pathlib.Path(tuleaprt.__file__).with_name('py.typed').exists())"
    assert run("bin/python", "-c", where, cwd=installed) == "True\n"


@ensure
async def test_the_installed_server_delivers_a_post_to_a_window(installed: Path) -> None:
    server = await Server.start(twistd=str(installed / "bin" / "twistd"), folder=installed)
    window = PythonClient(server.url)
    await window.open(ticket())
    await window.subscribe(KANBAN)
    assert (await server.post(wire("kanban_item_create"))).status == 200
    await window.event("kanban_item:create")
    assert await server.metric("deliveries_total") == 1
    assert await server.process.stop() == 0
    assert server.tracebacks() == []


@ensure
async def test_once_twistd_has_run_as_the_installer_another_user_needs_to_write_nothing(
    installed: Path,
) -> None:
    run("bin/twistd", "--help", cwd=installed)
    plugins = next(installed.glob("lib/python*/site-packages/twisted/plugins"))
    before = {it.name: it.stat().st_mtime_ns for it in plugins.iterdir()}
    assert "dropin.cache" in before
    process = Process.start([str(installed / "bin" / "twistd"), "--help"], {}, folder=installed)
    assert await process.ended() == 0
    assert not [line for line in process.lines if "cache" in line]
    assert {it.name: it.stat().st_mtime_ns for it in plugins.iterdir()} == before
