"""Every command of the documentation is executed by a test, or is a system's own and is checked.

``EXECUTED`` names the test of each command, and words of the command in it. systemctl's verbs and units are
checked, because no systemd runs in ``make test``.
"""

import re
import subprocess
from functools import cache

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, commands

EXECUTED = {
    # The make targets run the whole of this, or are parts of what runs this.
    r"make (test|quick|unit|docs|clean( test)?)": (".ci/run", "make test"),
    r"(TICKET=\S+ .*|)make (run|watch|post)": ("tests/docs/test_tutorial.py", "make run"),
    r"make run (NODES=3|CONFIG=…)": ("tests/browser/test_nodes.py", "demo.nodes"),
    r"make fuzz": ("tests/fuzz/test_fuzz.py", "fuzz"),
    r"make soak": ("tests/benchmarks/test_soak.py", "soak"),
    r"make bench.*": ("tests/benchmarks/test_load.py", "Bench"),
    r"make bench JOURNAL=all": ("tests/benchmarks/test_journals.py", "journals"),
    r"python benchmarks/rst\.py": ("tests/benchmarks/test_growth.py", "rst"),
    r"make (deb|rpm|packages).*": ("tests/packages/conftest.py", "package"),
    r"(apt|dnf) install \./tuleaprt.*": ("tests/packages/conftest.py", "dist"),
    r"(podman|docker) (build|run) .*": ("tests/packages/test_container.py", "Containerfile"),
    r"node demo/watch\.mjs": ("tests/end_to_end/test_running.py", "watch.mjs"),
    r"\.venv/bin/python -m build": ("tests/packaging/test_packaging.py", '"-m", "build"'),
    r"(tar|python3|ln|useradd|install|nginx -t|/opt/\S+/bin/(pip|twistd)) .*": (
        "tests/packaging/by_hand.py",
        "Install by hand",
    ),
    r"(/opt/tuleaprt/bin/)?tuleaprt takeover( --back| --dry-run)?": ("tests/cli/test_takeover.py", "--back"),
    r"(/opt/tuleaprt/bin/)?tuleaprt init": ("tests/cli/test_init.py", '"init"'),
    r"tuleaprt check-delivery.*": ("tests/cli/test_delivery.py", "check-delivery"),
    r"tuleaprt check-config --connect.*": ("tests/cli/test_installation.py", "--connect"),
    r"(tuleaprt|source) .*": ("tests/cli/test_documentation.py", "tuleaprt watch"),
    r"TULEAPRT_\S+ .*tuleaprt token .*": ("tests/docs/test_tutorial.py", "token"),
    r"python -m demo\.server.*": ("tests/demo/test_server.py", "demo.server"),
    r"python -m tuleaprt": ("tests/cli/conftest.py", '"-m", "tuleaprt"'),
    r"twistd -n tuleaprt --config .*": ("tests/cli/test_init.py", '"--config"'),
    r"npm (install|ci).*": ("tests/browser/test_npm_package.py", '"npm", "pack"'),
    r"curl .*": ("tests/end_to_end/test_monitoring.py", "/health/ready"),
    r"wamp .*": ("tests/interop/test_wamp_cli.py", "--match"),
    r"npx wampy .*": ("tests/interop/test_wampy.py", "subscribe"),
    r"kill -9": ("tests/end_to_end/test_journal.py", "KILL"),
    r"systemd-analyze .*": ("tests/packaging/test_systemd.py", "security"),
    r"supervisorctl .*": ("tests/cli/test_takeover_supervisord.py", "supervisor"),
}

CHECKED = {
    r"(.* && )?systemctl .*",
    # Tuleap's own, a copy, and removals.
    r"tuleap-cfg site-deploy(:realtime)?",
    r"sqlite3 journal\.db '\.backup copy\.db'",
    r"rm -f .*",
    r"nginx -T \| grep tuleaprt",
}
OTHER_UNITS = {f"{it}.service" for it in ("nginx", "tuleap-realtime", "nats-server", "mosquitto")}
NOT_COMMANDS = r"tuleaprt (does not start:|is ready|0\.1\.0|COMMAND --help)|twistd ─.*|ExecStart=.*"
ALL = sorted({command for page in PAGES for command in commands(page)} - {""})
COMMANDS = [it for it in ALL if not re.fullmatch(NOT_COMMANDS, it)]


@cache
def content(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_test_executes_the_command(command: str) -> None:
    found = [where for pattern, where in EXECUTED.items() if re.fullmatch(pattern, command)]
    assert found or any(re.fullmatch(it, command) for it in CHECKED), "no test executes it"
    for path, words in found:
        assert words in content(path), path


def test_no_rule_is_for_a_command_that_is_gone() -> None:
    for pattern in (*EXECUTED, *CHECKED):
        assert any(re.fullmatch(pattern, it) for it in COMMANDS), pattern


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
