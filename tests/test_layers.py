"""The layers: who may import whom, and what the pure rooms may not hold."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tuleaprt"
MODULES = sorted(PACKAGE.rglob("*.py"))

ALLOWED = {
    "errors": (),
    "config": ("msgspec",),
    # What an option means is known where it is used; to say whether it can be, nothing is done.
    "checks": (
        "tuleaprt.config",
        "tuleaprt.errors",
        "tuleaprt.listening",
        "tuleaprt.transport.origins",
        "tuleaprt.tuleap.ticket",
    ),
    "loading": ("tuleaprt.checks", "tuleaprt.config", "tuleaprt.errors", "msgspec"),
    "keyfile": ("tuleaprt.errors", "tuleaprt.loading", "twisted"),
    "reload": ("tuleaprt.config", "tuleaprt.errors", "twisted"),
    "metrics": ("tuleaprt.tallies", "prometheus_client"),
    "tallies": ("prometheus_client",),
    "doors": (
        "tuleaprt.audit",
        "tuleaprt.config",
        "tuleaprt.faults",
        "tuleaprt.metrics",
        "tuleaprt.readiness",
        "tuleaprt.relay",
        "tuleaprt.reload",
        "tuleaprt.tls",
        "tuleaprt.transport",
        "tuleaprt.wamp.auth",
        "tuleaprt.wamp.router",
        "tuleaprt.web",
        "twisted.internet.interfaces",
    ),
    "counting": ("tuleaprt.errors", "tuleaprt.metrics", "tuleaprt.wamp"),
    "gauges": (
        "tuleaprt.metrics",
        "tuleaprt.transport",
        "tuleaprt.tuleap.campaign",
        "tuleaprt.wamp.realm",
    ),
    "probe": (
        "tuleaprt.errors",
        "tuleaprt.faults",
        "tuleaprt.metrics",
        "tuleaprt.relay",
        "tuleaprt.transport.frames",
        "tuleaprt.wamp",
        "twisted.logger",
    ),
    "readiness": (),
    "serving": (
        "tuleaprt.keyfile",
        "tuleaprt.listening",
        "tuleaprt.log",
        "tuleaprt.notify",
        "tuleaprt.probe",
        "tuleaprt.readiness",
        "tuleaprt.relay.relay",
        "tuleaprt.reload",
        "tuleaprt.transport.hub",
        "tuleaprt.transport.unauthenticated",
        "tuleaprt.web.site",
        "twisted",
    ),
    "repetition": (),
    "log": (
        "tuleaprt.addresses",
        "tuleaprt.logfile",
        "tuleaprt.repetition",
        "twisted.logger",
        "twisted.python",
        "zope.interface",
    ),
    "addresses": (),
    "logfile": (),
    "signals": (),
    "audit": ("tuleaprt.wamp.auth", "twisted.logger"),
    "faults": ("tuleaprt.metrics", "twisted.logger"),
    "listening": ("tuleaprt.errors", "twisted.internet"),
    "cli": (
        "tuleaprt.cli",
        "tuleaprt.config",
        "tuleaprt.errors",
        "tuleaprt.loading",
        "tuleaprt.tuleap",
        # check-config lets the server itself say what is wrong.
        "tuleaprt.application.service.makeService",
        "autobahn",
        "jwt",
        "twisted",
        "msgspec",
    ),
    "__main__": ("tuleaprt.cli.main",),
    "journal": (),
    "tls": ("tuleaprt.config", "tuleaprt.errors", "cryptography", "OpenSSL", "twisted", "zope.interface"),
    "wamp": (
        "tuleaprt.errors",
        "tuleaprt.wamp",
        "autobahn.wamp.message",
        "autobahn.wamp.exception",
        "autobahn.wamp.role",
    ),
    "tuleap": (
        "tuleaprt.errors",
        "tuleaprt.tuleap",
        "tuleaprt.wamp.auth",
        "tuleaprt.wamp.identifiers",
        "tuleaprt.wamp.publication",
        "jwt",
        "msgspec",
    ),
    "relay": (
        "tuleaprt.errors",
        "tuleaprt.faults",
        "tuleaprt.journal",
        "tuleaprt.metrics",
        "tuleaprt.relay",
        "tuleaprt.tuleap",
        "tuleaprt.wamp",
    ),
    "transport": (
        "tuleaprt.addresses",
        "tuleaprt.config",
        "tuleaprt.errors",
        "tuleaprt.faults",
        "tuleaprt.metrics",
        "tuleaprt.transport",
        "tuleaprt.wamp",
        "autobahn",
        "cbor2",
        "msgspec",
        "twisted",
    ),
    "web": (
        "tuleaprt.errors",
        "tuleaprt.faults",
        "tuleaprt.metrics",
        "tuleaprt.tuleap",
        "tuleaprt.wamp.auth",
        "tuleaprt.web",
        # One way of writing to a socket at once, which knows Twisted and nothing of ours.
        "tuleaprt.transport.direct",
        # The one reading of Host.
        "tuleaprt.transport.request_headers",
        "msgspec",
        "twisted",
    ),
}
"""What each room may import beside the standard library; ``service`` may import everything."""

PURE = ("wamp", "tuleap")
PURE_LIBRARY = (
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "typing",
    "warnings",
)
"""What the pure rooms need of the standard library: nothing that has a clock, chance, a log or the world."""

ONLY_TYPES = (
    Path("errors.py"),
    Path("tuleap/inputs.py"),
    Path("wamp/auth.py"),
    Path("wamp/outlet.py"),
    Path("wamp/router.py"),
)


def room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_keep_to_the_layers(module: Path) -> None:
    if room(module) == "application":
        return
    library = PURE_LIBRARY if room(module) in PURE else tuple(sys.stdlib_module_names)
    allowed = (*ALLOWED.get(room(module), ()), *library)
    assert [name for name in imports(module) if not any(is_within(name, it) for it in allowed)] == []


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_hold_nothing_asynchronous(name: str) -> None:
    for module in (PACKAGE / name).glob("*.py"):
        nodes = ast.walk(ast.parse(module.read_text()))
        assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)], module


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_do_not_ask_what_time_it_is(name: str) -> None:
    for module in (PACKAGE / name).glob("*.py"):
        nodes = ast.walk(ast.parse(module.read_text()))
        asked = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
        assert not {"now", "utcnow", "today"} & set(asked), module


def test_the_reactor_is_imported_once() -> None:
    found = [
        module.relative_to(PACKAGE)
        for module in MODULES
        for name in imports(module)
        if name == "twisted.internet.reactor"
    ]
    assert found == [Path("application/service.py")]


def test_the_plugin_folders_are_no_packages() -> None:
    assert not list((ROOT / "twisted").rglob("__init__.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_its_tests(module: Path) -> None:
    if module.name != "__init__.py" and module.relative_to(PACKAGE) not in ONLY_TYPES:
        inside = module.relative_to(PACKAGE)
        assert (ROOT / "tests" / inside.parent / f"test_{module.name}").exists()
