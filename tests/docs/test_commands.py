"""The commands of the documentation: a test executes each of them, or here is the reason why none does.

The commands of curl are executed here.
"""

import re
import subprocess
from functools import cache

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.docs.pages import DOCS, PAGES, ROOT, commands
from tests.end_to_end.server import Server

ensure = pytest_twisted.ensureDeferred

EXECUTED = {
    r"(TICKET=\S+ .*|)make (run|watch|post)": ("tests/docs/test_tutorial.py", "type_in(run)"),
    r"TULEAPRT_\S+ .*tuleaprt token .*": ("tests/docs/test_tutorial.py", "type_in(token)"),
    r"make run NODES=3": ("tests/browser/test_nodes.py", "demo.nodes"),
    r"python benchmarks/rst\.py": ("tests/benchmarks/test_growth.py", '"benchmarks/rst.py"'),
    r"node demo/watch\.mjs": ("tests/end_to_end/test_running.py", "watch.mjs"),
    r"\.venv/bin/python -m build": ("tests/packaging/test_packaging.py", '"-m", "build"'),
    r"(tar|python3|ln -sfn tuleaprt-0\.1\.0|useradd|install|/opt/\S+/bin/(pip|twistd)) .*": (
        "tests/packaging/by_hand.py",
        "Install by hand",
    ),
    r"nginx -t && .*|nginx -T .*|rm -f .*": ("tests/packaging/test_packaging.py", "type_in("),
    r"(/opt/tuleaprt/bin/)?tuleaprt takeover( --back| --dry-run)?": ("tests/cli/test_takeover.py", "--back"),
    r"(/opt/tuleaprt/bin/)?tuleaprt init": ("tests/cli/test_init.py", '"init"'),
    r"tuleaprt check-delivery.*": ("tests/cli/test_delivery.py", "check-delivery"),
    r"tuleaprt check-config --connect.*": ("tests/cli/test_installation.py", "--connect"),
    r"(tuleaprt|source) .*": ("tests/cli/test_documentation.py", "tuleaprt watch"),
    r"python -m demo\.server.*": ("tests/demo/test_server.py", '"demo.server"'),
    r"python -m tuleaprt": ("tests/cli/conftest.py", '"-m", "tuleaprt"'),
    r"twistd -n tuleaprt --config .*": ("tests/cli/test_init.py", '"--config"'),
    r"npm ci && npm pack \./client": ("tests/browser/test_npm_package.py", '"npm", "pack"'),
    r"curl .*": ("tests/docs/test_commands.py", "CURL"),
    r"wamp .*": ("tests/interop/test_wamp_cli.py", '"subscribe", "--match"'),
    r"npx wampy .*": ("tests/interop/test_wampy.py", "wampy_tool("),
    r"kill -9": ("tests/browser/test_nodes.py", "kill"),
    r"systemd-analyze .*": ("tests/packaging/test_systemd.py", '"security"'),
}
"""The test of each command, and words by which the test is found."""

NOT_EXECUTED = {
    r"make (test|quick|unit|docs|clean( test)?)": "this is what runs the tests, or a part of it",
    r"make (fuzz|soak|bench.*)": "it takes minutes; tests/fuzz and tests/benchmarks run the same for seconds",
    r"make (deb|rpm|packages).*": "it takes minutes; make packages runs tests/packages",
    r"(apt|dnf) install \./tuleaprt.*": "tests/packages installs the files, without a network",
    r"(podman|docker) (build|run) .*": "no image can be fetched; tests/packages runs the steps of the image",
    r"make run CONFIG=…": "it stands for any file; tests/demo/test_run.py starts with a key of its own",
    r"npm ci": "make test has run it",
    r"npm install .*": "it is not published; tests/browser/test_npm_package.py unpacks it",
    r"supervisorctl .*": "tests/cli/test_takeover_supervisord.py runs its update, not the restart",
    r"tuleap-cfg site-deploy(:realtime)?": "it is Tuleap's own",
    r"(.* && )?systemctl .*": "no systemd runs; the verbs and the units are checked below",
}
CURL = sorted({it for page in PAGES for it in commands(page) if it.startswith("curl ")})
OTHER_UNITS = {f"{it}.service" for it in ("nginx", "tuleap-realtime", "nats-server", "mosquitto")}
NOT_COMMANDS = r"tuleaprt (does not start:|is ready|0\.1\.0|COMMAND --help)|twistd ─.*|ExecStart=.*"
ALL = sorted({command for page in PAGES for command in commands(page)} - {""})
COMMANDS = [it for it in ALL if not re.fullmatch(NOT_COMMANDS, it)]


@cache
def content(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_test_executes_the_command_or_there_is_a_reason(command: str) -> None:
    found = [where for pattern, where in EXECUTED.items() if re.fullmatch(pattern, command)]
    assert found or any(re.fullmatch(it, command) for it in NOT_EXECUTED)
    for path, words in found:
        assert words in content(path), path


def test_no_rule_is_for_a_command_that_is_gone() -> None:
    for pattern in (*EXECUTED, *NOT_EXECUTED):
        assert any(re.fullmatch(pattern, it) for it in COMMANDS), pattern


@ensure
async def test_curl_shows_what_the_guides_promise() -> None:
    server = await Server.start()
    for command in CURL:
        here = command.replace("localhost:2999", f"127.0.0.1:{server.private}")
        assert here != command
        done = await deferToThread(
            subprocess.run, here, shell=True, capture_output=True, text=True, check=True, timeout=30
        )
        assert done.stdout, command
    await server.process.stop()


@cache
def verbs() -> frozenset[str]:
    """The verbs of the installed systemctl."""
    text = subprocess.run(["systemctl", "--help"], capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"^  ([a-z-]+)(?: |$)", text, re.MULTILINE))


@pytest.mark.parametrize("command", [it for it in COMMANDS if "systemctl" in it])
def test_what_systemctl_is_asked_for_is_there(command: str) -> None:
    known = {it.name for it in (ROOT / "etc/systemd").iterdir()}
    for part in re.findall(r"systemctl ([^&|]+)", command):
        verb, *units = [it for it in part.split() if not it.startswith("--")]
        assert verb in verbs()
        for unit in units:
            name = re.sub(r"@\d", "@", unit if "." in unit else f"{unit}.service")
            assert name in known or name in OTHER_UNITS, unit


def test_pages_have_one_purpose_and_the_index_has_all() -> None:
    index = (DOCS / "index.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([a-z-]+)$", index, re.MULTILINE)
    assert sorted(listed) == sorted(it.stem for it in DOCS.glob("*.rst") if it.stem != "index")
    captions = re.findall(r":caption: (.+)", index)
    assert captions == ["Tutorial", "How-to guides", "Reference", "Explanation"]
